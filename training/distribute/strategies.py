"""Distribution strategies by name, for one device, several GPUs, several workers, or a TPU."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import tensorflow as tf

from keras_resnet.errors import UserError, WorkerLost, first_line

from .cluster import check_strategy, is_slurm_step, task_of_tf_config

PEER_DIED = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Makes a `tf.distribute` strategy by its name in `STRATEGIES`.

    Call it before everything else that uses TensorFlow: several workers must be connected before the first operation runs.
    """
    check_strategy(name)
    return STRATEGIES[name]()


def auto() -> tf.distribute.Strategy:
    """Several workers if the environment names several, else all GPUs if there are several, else one device."""
    if number_of_workers(cluster_of_environment()) > 1:
        return multi_worker()
    return mirrored() if len(tf.config.get_visible_devices("GPU")) > 1 else one_device()


def one_device() -> tf.distribute.Strategy:
    """TensorFlow's default: the first GPU, or the CPU."""
    return tf.distribute.get_strategy()


def mirrored() -> tf.distribute.Strategy:
    """One process on all its GPUs, or on all its logical CPUs if it has none."""
    kind = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])


def multi_worker() -> tf.distribute.Strategy:
    """This process and its peers, each on all its GPUs; gradients are reduced by NCCL on GPUs, by a gRPC ring on CPUs.

    When a peer dies, the next collective operation fails, at once or after some ten seconds: see
    `collective_error_as_worker_lost`.
    """
    resolver = cluster_of_environment()
    assert resolver, "check_strategy"
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(resolver, communication_options())
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise UserError("strategy multi_worker must be made before TensorFlow has run any operation in the process") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # TensorFlow installs a handler that ignores it


def communication_options() -> tf.distribute.experimental.CommunicationOptions:
    """NCCL where there are GPUs: left to itself ("AUTO"), TensorFlow 2.21 sums them in its gRPC ring, by way of the hosts."""
    kinds = tf.distribute.experimental.CommunicationImplementation
    chosen = kinds.NCCL if tf.config.get_visible_devices("GPU") else kinds.AUTO
    return tf.distribute.experimental.CommunicationOptions(implementation=chosen)


@contextlib.contextmanager
def collective_error_as_worker_lost(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Inside, a collective operation that fails because another worker has ended raises `WorkerLost`."""
    try:
        yield
    except PEER_DIED as error:
        if worker_of(strategy)[1] == 1:
            raise
        raise WorkerLost("another worker has ended; when restarted, all continue from the newest checkpoint") from error


def tpu() -> tf.distribute.Strategy:
    """All cores of the TPU that TPU_NAME names, or of this machine's."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(os.environ.get("TPU_NAME", "local"))
    except (tf.errors.OpError, ValueError, RuntimeError, ImportError, OSError) as error:
        reason = first_line(getattr(error, "message", error))
        raise UserError(f"strategy tpu finds no TPU; TPU_NAME can name one ({reason})") from error
    return tf.distribute.TPUStrategy(resolver)


STRATEGIES = {"auto": auto, "one_device": one_device, "mirrored": mirrored, "multi_worker": multi_worker, "tpu": tpu}


def cluster_of_environment() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """The cluster and this process's place in it, from TF_CONFIG, else from Slurm; None without either."""
    return cluster_of_tf_config() or cluster_of_slurm()


def cluster_of_tf_config() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    if task_of_tf_config() is None:
        return None
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    try:
        resolver.cluster_spec()
    except (ValueError, TypeError, AttributeError) as error:  # addresses that are none
        raise UserError(f"TF_CONFIG is not a cluster and a task in JSON: {first_line(error)}") from error
    return resolver


def cluster_of_slurm() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """Makes a worker of every task of the Slurm step. The ports depend on the job, so that two jobs can share a host.

    TensorFlow's resolver sorts the hosts as text (n10 before n9), so that a rank is not always an index into its list: this
    task's index is found by host and local number. It would also divide the GPUs, which is left to Slurm (`--gpus-per-task`).
    """
    if not is_slurm_step():
        return None
    try:
        job, step, tasks, local = (
            int(os.environ[f"SLURM_{name}"]) for name in ("JOB_ID", "STEP_ID", "STEP_NUM_TASKS", "LOCALID")
        )
        port = 10_000 + 16 * ((job + step) % 1_300)  # below the ephemeral ports
        found = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        ).cluster_spec()
        index = found.as_dict()["worker"].index(f"{os.environ['SLURMD_NODENAME']}:{port + local}")
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"the SLURM_ variables do not describe a cluster: {first_line(error)}") from error
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        found, task_type="worker", task_id=index, num_accelerators={"GPU": len(tf.config.get_visible_devices("GPU"))}
    )


def number_of_workers(resolver: tf.distribute.cluster_resolver.ClusterResolver | None) -> int:
    return sum(map(len, resolver.cluster_spec().as_dict().values())) if resolver else 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes what is written once."""
    return strategy.extended.should_checkpoint


def worker_of(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """(index, count) of this process among the workers; the chief is 0. (0, 1) if there is only one."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    before = len(resolver.cluster_spec().as_dict().get("chief", ())) if resolver.task_type == "worker" else 0
    return before + resolver.task_id, number_of_workers(resolver)
