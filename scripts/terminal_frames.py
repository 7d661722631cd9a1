"""Last screen of a command on a terminal of a given width, as text for documents.

python scripts/terminal_frames.py COLUMNS SECONDS mg-basicsr train -opt train.yml
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

ROWS = 30


def main() -> None:
    """Run the command for some seconds, end it, and print what its terminal shows."""
    columns, seconds, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    process, terminal = pty.fork()
    if process == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', ROWS, columns, 0, 0))
        os.execvp(command[0], command)
    data, end = b'', time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                data += os.read(terminal, 65536)
            except OSError:  # the command has ended
                break
    os.kill(process, 9)
    text = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', data.decode(errors='replace')).replace('\r\n', '\n')
    shown = [line.split('\r')[-1].rstrip() or line.strip('\r').split('\r')[-1].rstrip() for line in text.split('\n')]
    print('\n'.join(line for line in shown if line)[-6000:])


if __name__ == '__main__':
    main()
