"""A Slurm cluster of one node with two processors, set up from nothing below a folder and taken down again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

# Debian installs the daemons where an ordinary PATH does not look.
SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
PACKAGES = {
    "munged": "munge",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "srun": "slurm-wlm",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server-core",
}
SYSTEM_TABLES = Path("/usr/share/mysql")
TIMEOUT = 60
# A Unix socket's path has at most 107 characters, of which Slurm takes a part for the names of node, job and step.
LONGEST_FOLDER = 60

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
AuthType=auth/munge
# A requeued job waits until its old credential has expired.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd_port}
AccountingStoragePass={folder}/munge.socket
JobAcctGatherType=jobacct_gather/linux
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
JobRequeue=1
OverTimeLimit=0
KillWait=2
MinJobAge=3600
ReturnToService=2
# The node has two processors, whatever the machine has.
SlurmdParameters=config_overrides
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory={megabytes}
PartitionName=debug Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTING = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={slurmdbd_port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""
DATABASE = (
    "mariadbd",
    "--no-defaults",
    "--user=root",
    "--datadir={folder}/database",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=16M",
    "--innodb-flush-log-at-trx-commit=0",
)


class ClusterError(Exception):
    """A cluster could not be set up or a command failed on it."""


@dataclass(frozen=True)
class SlurmCluster:
    """A running cluster: its commands find it by the variables of the environment."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.configuration)}

    def run(self, *command: str) -> str:
        """What a command prints that is run with the variables of this cluster."""
        finished = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
        if finished.returncode:
            raise ClusterError(f"{' '.join(command)} failed:\n{finished.stdout}")
        return finished.stdout


def missing_programs() -> str:
    """Why a cluster cannot be set up here, which is empty if it can."""
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program, path=SEARCH_PATH)}
    if missing:
        return f"a Slurm cluster needs the packages {', '.join(sorted(missing))}"
    if os.geteuid() != 0:
        return "a Slurm cluster needs root"
    return ""


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Run a cluster whose files lie below this folder, or below one in /tmp if its path is too long for sockets."""
    with ExitStack() as stack:
        cluster = SlurmCluster(stack.enter_context(short_folder(folder)))
        write_configuration(cluster)
        stack.callback(kill_jobs, cluster)
        try:
            start_daemons(cluster, stack)
        except (ClusterError, OSError, subprocess.SubprocessError) as error:
            raise ClusterError(f"{error}\n{tails_of_logs(cluster)}") from error
        yield cluster


@contextmanager
def short_folder(folder: Path) -> Iterator[Path]:
    if len(str(folder.resolve())) <= LONGEST_FOLDER:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as name:
        yield Path(name)


def write_configuration(cluster: SlurmCluster) -> None:
    for name in ("state", "spool", "database", "logs"):
        (cluster.folder / name).mkdir(parents=True)
    names = ("slurmctld_port", "slurmd_port", "slurmdbd_port")
    values = {
        "folder": cluster.folder,
        "host": socket.gethostname().partition(".")[0],
        "megabytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        **dict(zip(names, free_ports(len(names)), strict=True)),
    }
    cluster.configuration.write_text(CONFIGURATION.format(**values))
    write_secret(cluster.folder / "slurmdbd.conf", ACCOUNTING.format(**values).encode())
    write_secret(cluster.folder / "munge.key", os.urandom(64))


def write_secret(path: Path, content: bytes) -> None:
    """Write what the daemons only accept if nobody else can read it."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [listener.getsockname()[1] for listener in listeners]


def start_daemons(cluster: SlurmCluster, stack: ExitStack) -> None:
    """Start the daemons, each as soon as those that it needs can answer."""
    start_munged(cluster, stack)
    start_database(cluster, stack)
    # slurmctld only starts if its cluster is registered.
    wait_for(start(cluster, stack, "slurmdbd", "-D"), cluster.run, "sacctmgr", "-i", "add", "cluster", "test")
    wait_for(start(cluster, stack, "slurmctld", "-D"), cluster.run, "scontrol", "ping")
    wait_for(start(cluster, stack, "slurmd", "-D", "-N", "node"), demand_idle_node, cluster)


def start_munged(cluster: SlurmCluster, stack: ExitStack) -> None:
    files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid", "seed-file": "munged.seed"}
    options = [f"--{option}={cluster.folder / name}" for option, name in files.items()]
    # --force: folders of pytest are closed to other users, which is fine for a cluster of one user.
    daemon = start(cluster, stack, "munged", "--foreground", "--force", *options)
    wait_for(daemon, connect, cluster.folder / "munge.socket")


def start_database(cluster: SlurmCluster, stack: ExitStack) -> None:
    command = [part.format(folder=cluster.folder) for part in DATABASE]
    create_system_tables(cluster, command)
    # Only who can enter the folder reaches the socket, so there is nothing to guard with passwords.
    options = ("--skip-networking", "--skip-grant-tables", f"--socket={cluster.folder / 'database.socket'}")
    daemon = start(cluster, stack, *command, *options)
    wait_for(daemon, connect, cluster.folder / "database.socket")


def create_system_tables(cluster: SlurmCluster, command: list[str]) -> None:
    """Do what mariadb-install-db does, which lacks programs of other packages."""
    scripts = [SYSTEM_TABLES / f"mysql_system_tables{suffix}.sql" for suffix in ("", "_data")]
    statements = "CREATE DATABASE mysql;\nUSE mysql;\n" + "\n".join(script.read_text() for script in scripts)
    with (cluster.folder / "logs" / "bootstrap.log").open("wb") as log:
        bootstrap = [shutil.which(command[0], path=SEARCH_PATH) or command[0], *command[1:], "--bootstrap"]
        subprocess.run(bootstrap, input=statements.encode(), stdout=log, stderr=log, check=True, timeout=TIMEOUT)


def start(cluster: SlurmCluster, stack: ExitStack, program: str, *arguments: str) -> Popen[bytes]:
    """Start a daemon that is stopped when the stack closes."""
    with (cluster.folder / "logs" / f"{program}.log").open("wb") as log:
        process = Popen(
            [shutil.which(program, path=SEARCH_PATH) or program, *arguments],
            cwd=cluster.folder,
            # slurmdbd connects to the database where this variable says.
            env={**os.environ, **cluster.environment, "MYSQL_UNIX_PORT": str(cluster.folder / "database.socket")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stack.callback(stop, process)
    return process


def stop(process: Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(daemon: Popen[bytes], attempt: Callable[..., object], *arguments: object) -> None:
    """Wait until something succeeds that a daemon has been started for."""
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            attempt(*arguments)
            return
        except (ClusterError, OSError) as error:
            if daemon.poll() is not None or time.monotonic() > end:
                raise ClusterError(f"{daemon.args!r} did not get ready: {error}") from error
        time.sleep(0.1)


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def demand_idle_node(cluster: SlurmCluster) -> None:
    state = cluster.run("sinfo", "--noheader", "--format=%T").strip()
    if state != "idle":
        raise ClusterError(f"the node is {state}")


def kill_jobs(cluster: SlurmCluster) -> None:
    """Kill what runs in this cluster; jobs outlive its daemons by design."""
    end = time.monotonic() + TIMEOUT
    while (processes := processes_of(cluster)) and time.monotonic() < end:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


def processes_of(cluster: SlurmCluster) -> list[int]:
    """All processes with the variable of this cluster, which also finds those that have detached from their job."""
    variable = f"SLURM_CONF={cluster.configuration}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if variable in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return [process for process in found if process != os.getpid()]


def tails_of_logs(cluster: SlurmCluster) -> str:
    logs = sorted((cluster.folder / "logs").iterdir())
    return "\n".join("\n".join([f"{log.name}:", *log.read_text(errors="replace").splitlines()[-15:]]) for log in logs)
