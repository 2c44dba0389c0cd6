"""A Slurm of one machine, this one, in a temporary folder: munged, slurmctld and slurmd, as root."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}
AuthInfo=socket={folder}/munge.socket,cred_expire=10
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName={host} CPUs=2
PartitionName=main Nodes=ALL Default=YES State=UP
"""


def why_not():
    """Why it cannot run here; nothing where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"Slurm's {', '.join(missing)} not installed (slurmctld slurmd slurm-client munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons want root"


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@contextmanager
def slurm(folder):
    """Slurm inside the block; gives the environment in which its commands find it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    environment = os.environ | {"SLURM_CONF": str(conf), "OMP_NUM_THREADS": "1"}
    places = {name: folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    munged = ["munged", "--force", "--foreground", f"--key-file={key}"]
    munged += [f"--{name}{'' if name == 'socket' else '-file'}={place}" for name, place in places.items()]
    daemons = []
    try:
        for words in (munged, ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", host]):
            log = (folder / f"{words[0]}.out").open("wb")
            daemons.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log))
            log.close()
            time.sleep(1)
        deadline = time.monotonic() + 60
        while "idle" not in (told := ask("sinfo", "-h", "-o", "%t", environment=environment)):
            assert time.monotonic() < deadline, told + (folder / "slurmctld.out").read_text()
            time.sleep(0.2)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)


def ask(*words, environment, timeout=None):
    """What a command of Slurm's says; one that takes longer than `timeout` is ended."""
    try:
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout + done.stderr
