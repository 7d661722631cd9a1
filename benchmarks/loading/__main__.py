"""What a sample costs: from the store, from what people use instead, and from a copy of as many bytes.

    python benchmarks/loading                    makes its clips (three of 100 frames, 1280x720; needs scikit-image)
    python benchmarks/loading --data DIR         REDS-like clips of 100 frames: DIR/GT, DIR/LQ, DIR/meta_info.txt
    python benchmarks/loading --ways npy store   some ways alone
    python benchmarks/loading --jobs tight       some jobs alone: warm cold tight set

Peers need packages that the package itself does not: `pip install -e .[bench]`; those that are missing are left out,
and named. Each reads GT and LQ of the same places, one seeded list for all, in one process with one thread, in turns,
so that whatever else the machine does meets all of them; the pixels are compared before anything is timed.

warm     files in memory
cold     the page cache forgets them before each sample
tight    each way in a process of its own, whose memory, page cache included, is a quarter of the raw frames
set      whole samples of our datasets and of BasicSR's, drawing included, for several numbers of frames, and septuplets

Delivery to a training process is benchmarks/delivery.py's.

Prints tables and one line of JSON; writes benchmarks/results/loading.json and loading.png.
"""

import sys
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).parents[1])
    from loading.command import main

    main()
