"""Trainings in two processes under a real launcher, without the seconds that loading PyTorch takes in each of them.

The launcher and its ranks are forked from one process that has loaded everything. They do the same otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path

from processes import forking_python

from ava_detect.config import Config

TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--num_processes=2"]
ACCELERATE += ["--main_process_port=0", "--mixed_precision=no", "--dynamo_backend=no"]

# At the first start the first process is killed while its checkpoint of step KILL_AT is put in place: the best network
# of then is there already, and the checkpoint to go on from is the one before.
_LOADED = """
import importlib, json, os, signal, sys, traceback
import accelerate.commands.launch, pandas, torch, torch._dynamo, torch.distributed.run, torch.utils.tensorboard
from ava_detect.config import Config
from ava_detect.storage.object_store import Store
from ava_detect.training import loop


def put_file(self, path, name, put_file=Store.put_file):
    first_start = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if name == "last.pt" and first_start and torch.load(path)["step"] == int(os.environ.get("KILL_AT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    put_file(self, path, name)


def restore(self, state, restore=loop._Training._restore):
    print("resumes from step", state["step"], file=sys.stderr, flush=True)
    restore(self, state)


def train(settings, out):
    # A rank that was started anew would have none of the launcher's handlers.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    loop.train(Config.model_validate(json.loads(settings)), out, resume=True)


def forked(config, entrypoint, elastic_launch=torch.distributed.run.elastic_launch):
    config.start_method = "fork"
    return lambda *arguments: elastic_launch(config, train)(*arguments[-2:])


Store.put_file, loop._Training._restore, torch.distributed.run.elastic_launch = put_file, restore, forked


def launch(module, arguments, environment, said):
    # Both streams: Gloo writes to the standard output, on which the parent answers.
    file = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    try:
        importlib.import_module(module).main()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


for line in iter(sys.stdin.readline, ""):
    pid = os.fork()
    if pid == 0:
        launch(**json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class WarmLaunches:
    """One launch at a time."""

    def __init__(self) -> None:
        self._loaded = forking_python(_LOADED)

    def train(self, launcher: list[str], folder: Path, config: Config, out: object, **environment: str) -> str:
        """Train ``config`` in two processes; what they said."""
        folder.mkdir()
        said, (module, *arguments) = folder / "said.txt", launcher
        settings = json.dumps(config.model_dump(mode="json"))
        call = {"module": module, "arguments": [*arguments, "train", settings, str(out)]}
        assert self._loaded.stdin is not None
        assert self._loaded.stdout is not None
        print(json.dumps(call | {"environment": environment, "said": str(said)}), file=self._loaded.stdin, flush=True)
        code = self._loaded.stdout.readline().strip()
        assert code == "0", said.read_text()[-4000:]
        return said.read_text()

    def close(self) -> None:
        """End the loaded process."""
        assert self._loaded.stdin is not None
        self._loaded.stdin.close()
        assert self._loaded.wait(60) == 0
