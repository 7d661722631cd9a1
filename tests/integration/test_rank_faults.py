"""Two ranks under torchrun of which one gets a signal, or is killed."""

from __future__ import annotations

import pytest

from tests.helpers.project import BLOCK, NewProject, Project, same_weights
from tests.helpers.ranks import torchrun
from tests.helpers.trainer import Trainer

pytestmark = pytest.mark.slow

# Once per project, in the middle of an iteration, one rank gets a signal from outside.
SIGNALLED = """
import mg_basicsr, os, subprocess, time
from basicsr.models.video_recurrent_model import VideoRecurrentModel
optimize = VideoRecurrentModel.optimize_parameters
def signalled(self, current_iter):
    if current_iter == 8 and os.environ['RANK'] == '1' and not os.path.exists('signalled'):
        open('signalled', 'w').close()
        subprocess.run(['kill', '-{name}', str(os.getpid())])
        time.sleep(0.2)
    optimize(self, current_iter)
    with open(f'trained_{{os.environ["RANK"]}}', 'a') as file:
        print(current_iter, file=file)
VideoRecurrentModel.optimize_parameters = signalled
from basicsr.train import train_pipeline
if __name__ == '__main__':
    train_pipeline(os.getcwd())
"""


def ranks_project(new_project: NewProject, name: str) -> Project:
    """Two ranks, of which one sends itself the signal of this name."""
    project = new_project()
    project.shrink(batch_size_per_gpu=1, num_worker_per_gpu=1)
    project.options['logger']['save_checkpoint_freq'] = 5
    project.write({**BLOCK, 'base_batch_size': 2})
    (project.root / 'script.py').write_text(SIGNALLED.format(name=name))
    return project


@pytest.fixture(scope='module')
def undisturbed(trainer: Trainer, new_project: NewProject) -> Project:
    project = ranks_project(new_project, 'CONT')  # a signal that does nothing
    torchrun(trainer, project, 2, 'script.py')
    return project


@pytest.mark.parametrize('name', ['TERM', 'KILL'])
def test_restarted_ranks_reach_the_same_end(new_project: NewProject, undisturbed: Project, name: str) -> None:
    """After SIGTERM, which lets both finish the same iteration, and after SIGKILL, which leaves the last checkpoint."""
    project = ranks_project(new_project, name)
    project.launch(
        '-m',
        'torch.distributed.run',
        '--nproc_per_node=2',
        '--rdzv_backend=c10d',
        '--rdzv_endpoint=localhost:0',
        '--max_restarts=1',
        '--monitor_interval=0.1',
        'script.py',
        '-opt',
        'train.yml',
        '--launcher',
        'pytorch',
        '--auto_resume',
        TORCH_DISABLE_SHARE_RDZV_TCP_STORE='1',  # otherwise ranks that restart may look for those before
    )
    trained = [(project.root / f'trained_{rank}').read_text().split() for rank in range(2)]
    if name == 'TERM':
        assert trained == [[str(n) for n in range(1, 13)]] * 2
        assert (project.experiment / 'training_states/8.state').exists()
    else:
        assert trained[1] == [str(n) for n in (*range(1, 8), *range(6, 13))]
    assert same_weights(project.weights(), undisturbed.weights())
