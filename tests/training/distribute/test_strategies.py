"""Catches a cluster that is read wrongly, a worker in another's place, and tracebacks for what the environment lacks."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

from keras_resnet import UserError
from keras_resnet.training.distribute import strategies
from keras_resnet.training.distribute.launcher import launch
from keras_resnet.training.distribute.strategies import is_chief, make_strategy, worker_of


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", "TPU_NAME", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


def tf_config(monkeypatch, cluster, job="worker", index=0):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": index}}))


def slurm(monkeypatch, **variables):
    """Two hosts with two tasks each, of which this is Slurm's rank 3, the second on n10."""
    step = {"STEP_NUM_TASKS": 4, "STEP_NODELIST": "n[9-10]", "STEP_TASKS_PER_NODE": "2(x2)", "PROCID": 3, "LOCALID": 1}
    for name, value in {**step, "JOB_ID": 1307, "STEP_ID": 0, **variables}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURMD_NODENAME", "n10")


def test_an_unknown_strategy_is_refused_with_the_choices():
    with pytest.raises(UserError, match=r"'horovod'; the strategies are auto, one_device, mirrored, multi_worker, tpu$"):
        make_strategy("horovod")


@pytest.mark.parametrize("name", ["auto", "one_device"])
def test_one_device_is_tensorflows_default(name):
    strategy = make_strategy(name)
    assert strategy is tf.distribute.get_strategy()
    assert (is_chief(strategy), worker_of(strategy)) == (True, (0, 1))


def test_mirrored_takes_all_logical_cpus_where_there_are_no_gpus():
    strategy = make_strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 2
    assert (is_chief(strategy), worker_of(strategy)) == (True, (0, 1))


@pytest.mark.parametrize(("gpus", "chosen"), [(0, "one_device"), (1, "one_device"), (2, "mirrored")])
def test_auto_mirrors_over_several_gpus_only(gpus, chosen, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU"] * gpus)
    for name in ("one_device", "mirrored", "multi_worker"):
        monkeypatch.setattr(strategies, name, lambda name=name: name)
    assert make_strategy("auto") == chosen


def test_auto_takes_several_workers_but_not_a_cluster_of_one(monkeypatch):
    for name in ("one_device", "multi_worker"):
        monkeypatch.setattr(strategies, name, lambda name=name: name)
    tf_config(monkeypatch, {"worker": ["a:1"]})
    assert make_strategy("auto") == "one_device"
    tf_config(monkeypatch, {"chief": ["a:1"], "worker": ["b:1"]})
    assert make_strategy("auto") == "multi_worker"
    monkeypatch.delenv("TF_CONFIG")
    slurm(monkeypatch)
    assert make_strategy("auto") == "multi_worker"


def test_without_a_cluster_multi_worker_says_what_it_needs():
    with pytest.raises(UserError, match="needs TF_CONFIG with a cluster, or a Slurm step"):
        make_strategy("multi_worker")


@pytest.mark.parametrize("name", ["auto", "multi_worker"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG is not a cluster and a task in JSON"),
        ("5", "TF_CONFIG is not a cluster and a task in JSON"),
        ('{"cluster": ["a:1"], "task": {"type": "worker", "index": 0}}', "TF_CONFIG is not a cluster and a task in JSON"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "first"}}', "not a cluster and a task"),
        ('{"cluster": {"worker": ["a:1"]}, "task": null}', "not a cluster and a task"),
        ('{"cluster": {"worker": ["a:1"]}}', "task of type None; the cluster's jobs are worker"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "task of type 'chief'"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "index 1; it must be at least 0",
        ),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}', "index None"),
        ('{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "ps", "index": 0}}', "job 'ps'; the jobs are chief"),
    ],
)
def test_a_malformed_tf_config_is_one_line(name, text, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message) as caught:
        make_strategy(name)
    assert "\n" not in str(caught.value)


def test_a_slurm_task_finds_its_own_address_though_tensorflow_sorts_the_hosts_as_text(monkeypatch):
    slurm(monkeypatch)
    resolver = strategies.cluster_of_slurm()
    addresses = resolver.cluster_spec().as_dict()["worker"]
    assert addresses == ["n10:10112", "n10:10113", "n9:10112", "n9:10113"]
    assert (resolver.task_type, resolver.task_id, addresses[resolver.task_id]) == ("worker", 1, "n10:10113")
    assert resolver.num_accelerators() == {"GPU": 0}


def test_two_slurm_jobs_on_one_host_have_different_ports(monkeypatch):
    slurm(monkeypatch)
    first = strategies.cluster_of_slurm().cluster_spec().as_dict()["worker"]
    slurm(monkeypatch, JOB_ID=1308)
    assert not {*first} & {*strategies.cluster_of_slurm().cluster_spec().as_dict()["worker"]}


@pytest.mark.parametrize(
    "broken", [{"STEP_NODELIST": "n[9"}, {"JOB_ID": ""}, {"STEP_NODELIST": "m[1-2]"}, {"STEP_NUM_TASKS": 5}]
)
def test_a_slurm_environment_that_makes_no_sense_is_one_line(broken, monkeypatch):
    slurm(monkeypatch, **broken)
    with pytest.raises(UserError, match=r"^the SLURM_ variables do not describe a cluster: .+"):
        make_strategy("multi_worker")


def test_tf_config_goes_before_slurm(monkeypatch):
    """`launch` inside a Slurm job."""
    slurm(monkeypatch)
    tf_config(monkeypatch, {"worker": ["a:1", "b:1"]}, index=1)
    assert strategies.cluster_of_environment().cluster_spec().as_dict() == {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(("gpus", "chosen"), [(0, "AUTO"), (8, "NCCL")])
def test_workers_with_gpus_do_not_sum_their_gradients_over_grpc(gpus, chosen, monkeypatch):
    """TensorFlow's collectives take NCCL only where it is named (`CollectiveParamResolverLocal::AssignCollectiveType`)."""
    made = {}
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU"] * gpus)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda _, options: made.update(options=options))
    tf_config(monkeypatch, {"worker": ["a:1", "b:1"]})
    make_strategy("multi_worker")
    assert made["options"].implementation.value == chosen


def test_a_strategy_made_too_late_says_so(monkeypatch):
    tf.constant(0)
    tf_config(monkeypatch, {"worker": ["localhost:1"]})
    with pytest.raises(UserError, match="multi_worker must be made before TensorFlow has run any operation"):
        make_strategy("multi_worker")


def test_a_missing_tpu_is_one_line():
    """In a process of its own: TensorFlow's search for a TPU changes its state."""
    program = "from keras_resnet.training.distribute.strategies import make_strategy; make_strategy('tpu')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("keras_resnet.errors.UserError: strategy tpu finds no TPU")


WORKERS = """
import signal
import tensorflow as tf
from keras_resnet.training.distribute.strategies import is_chief, make_strategy, worker_of
signal.signal(signal.SIGTERM, lambda *_: print("saving"))
strategy = make_strategy("auto")
index, count = worker_of(strategy)

@tf.function
def step():
    return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(10.0 ** index)))

print(type(strategy).__name__, is_chief(strategy), index, count, float(step()))
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.slow
def test_two_workers_add_up_what_each_has_and_hear_sigterm(monkeypatch, capfd):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert launch([sys.executable, "-c", WORKERS], 2) == 0
    name, printed = "CollectiveAllReduceStrategy", sorted(capfd.readouterr().out.splitlines())
    assert printed == [f"[0] {name} True 0 2 11.0", "[0] saving", f"[1] {name} False 1 2 11.0", "[1] saving"]
