"""Catches a file that its own runtime runs and that other people's do not read, or answer otherwise to.

Each client runs once on all artifacts of a network; the tests look at what came out.
"""

import pytest
from clients_table import ARTIFACTS, PAGE, read_artifacts, write_table
from conftest import ROOT
from known_limits import KNOWN_LIMITS
from networks import color_network, gray_network

from keras_resnet.export.clients.installation import FOLDER, NotInstalledError, find_installation, is_complete
from keras_resnet.export.clients.table import CLIENTS
from keras_resnet.export.clients.verify import verify_in_clients

CASES = [
    (client.name, network, artifact)
    for client in CLIENTS.values()
    for network, channels in (("color", 3), ("gray", 1))
    for artifact in read_artifacts(client)
    if (not client.channels or channels in client.channels)
    and (client.runs or network == "color")  # a conversion is not another one for fewer channels
]


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return color_network(tmp_path_factory.mktemp("color"))


@pytest.fixture(scope="module")
def gray(exported):
    return gray_network(exported)


@pytest.fixture(scope="module")
def answers(request):
    """What a client makes of the artifacts of a network, `{artifact: ClientResult}`; skips where it is not installed."""
    results, references = {}, {}

    def answer(client, name):
        if not is_complete(CLIENTS[client], ROOT / FOLDER / client):  # a version that happens to be here is not the table's
            pytest.skip(f"{client} is not installed: make clients")
        try:
            installation = find_installation(CLIENTS[client], ROOT / FOLDER)
        except NotInstalledError as error:
            pytest.skip(str(error))
        if (client, name) not in results:
            network = request.getfixturevalue(name)
            if name not in references:
                references[name] = network.references()
            outputs, metadata = references[name]
            found = verify_in_clients([installation], network.artifacts, metadata, "nhwc", "uint8", network.images, outputs)
            results[client, name] = {result.artifact: result for result in found}
        return results[client, name]

    yield answer
    if request.config.getoption("--update_clients_table"):
        write_table(results)


@pytest.mark.client
@pytest.mark.parametrize(("client", "network", "artifact"), CASES)
def test_a_client_does_not_open_the_file_or_answers_otherwise(client, network, artifact, answers):
    """Alone and in batches: same shape, same probabilities within the artifact's gate, same predictions."""
    result = answers(client, network)[artifact]
    limit = KNOWN_LIMITS.get((client, artifact))
    if limit and result.failures:
        pytest.xfail(limit)
    assert not result.failures
    assert not limit, "known_limits.py says that it does not work"
    assert result.batch_sizes == CLIENTS[client].batch_sizes


@pytest.mark.client
def test_the_npu_takes_less_than_it_did(answers):
    """Catches an operator that Vela leaves to the processor: before, only the cast of the pixels and the softmax."""
    for artifact in read_artifacts(CLIENTS["vela"]):
        taken, total = map(int, answers("vela", "color")[artifact].note.partition(" operators")[0].split(" of "))
        assert total - taken <= 3


def test_the_page_about_clients_lacks_one_or_names_a_limit_that_is_none():
    page = PAGE.read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| ") and "(`" in line}
    assert list(rows) == list(CLIENTS)
    for name, row in rows.items():
        cells = dict(zip(ARTIFACTS, (cell.strip() for cell in row.split("|")[4:]), strict=False))
        assert {artifact for artifact, cell in cells.items() if cell.startswith("no")} == {
            artifact for client, artifact in KNOWN_LIMITS if client == name
        }
        assert {artifact for artifact, cell in cells.items() if cell} == set(read_artifacts(CLIENTS[name]))
