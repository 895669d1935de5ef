import json
import re

import pytest
from typer.testing import CliRunner

from optsched.cli import app
from optsched.core import InputError
from optsched.rcbench import AXES, area_under_curve, generate, prompt, score, summarise

CASE, WITNESS = generate(12, AXES, 1, domain="migration")
run = CliRunner()


@pytest.mark.parametrize("style", ["prose", "table", "json"])
def test_every_number_of_the_case_is_stated_in_any_order(style):
    texts = [prompt(CASE, style, permutation) for permutation in (0, 1, 2)]
    assert len(set(texts)) == 3
    numbers = [sorted(re.findall(r"\d+", text)) for text in texts]
    assert numbers[0] == numbers[1] == numbers[2]
    for task in CASE.tasks:
        assert task.name in texts[0]
    assert prompt(CASE, style, 2) == texts[2]


def test_json_prompt_holds_the_data():
    text = prompt(CASE, "json", 4)
    start = text.index("{", text.index("second starts."))
    data, _ = json.JSONDecoder().raw_decode(text, start)
    assert {task["id"] for task in data["tasks"]} == {task.id for task in CASE.tasks}
    assert len(data["precedence"]) == len(CASE.precedence)
    assert len(data["not_at_the_same_time"]) == len(CASE.disjunctive)


def test_unknown_style():
    with pytest.raises(InputError, match="verse"):
        prompt(CASE, "verse")


def test_area_under_the_curve():
    assert area_under_curve([], []) is None
    assert area_under_curve([3], [0.5]) == 0.5
    assert area_under_curve([1, 2, 3], [1.0, 1.0, 1.0]) == 1.0
    assert area_under_curve([0, 10], [1.0, 0.0]) == 0.5
    assert area_under_curve([0, 1, 5], [1.0, 0.0, 0.0]) == pytest.approx(0.1)


def test_summary_of_nothing():
    found = summarise([])
    assert found["answers"] == 0
    assert found["feasible"] is None
    assert found["area"] is None


def test_generate_prompt_score(tmp_path):
    folder = tmp_path / "bench"
    made = run.invoke(
        app,
        ["rcbench", "generate", str(folder), "--levels", "1-3", "--axes", "each", "--seeds", "0,1",
         "--twins"],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    cases = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    assert len(cases) == 3 * 8 * 2 * 2
    assert len({case["id"] for case in cases}) == len(cases)
    assert "witness" not in cases[0]
    prompts = run.invoke(app, ["rcbench", "prompt", str(folder), "--permutations", "2"])
    assert len(prompts.stdout.splitlines()) == 2 * len(cases)
    one = run.invoke(app, ["rcbench", "prompt", str(folder), "--case", cases[0]["id"]])
    assert "Find a start time" in one.stdout

    witnesses = [json.loads(line) for line in (folder / "witnesses.jsonl").read_text().splitlines()]
    lines = [
        {"id": w["id"], "answer": {"schedule": {f"T{i + 1}": s for i, s in enumerate(w["start"])}}}
        for w in witnesses
    ]
    lines += [{"id": w["id"] + "-twin", "answer": '{"infeasible": true}'} for w in witnesses]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = tmp_path / "scores.json"
    judged = run.invoke(
        app, ["rcbench", "score", str(folder), str(answers), "--json", str(report), "--distance"]
    )
    assert judged.exit_code == 0, judged.output
    summary = json.loads(report.read_text())["summary"]
    assert summary["correct"] == summary["feasible"] == summary["refuted"] == summary["area"] == 1.0
    assert "100.0 %" in judged.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["generate", "{}/x", "--levels", "5-1"], "--levels"),
        (["generate", "{}/x", "--seeds", "two"], "--seeds"),
        (["generate", "{}/x", "--axes", "weather"], "weather"),
        (["prompt", "{}/absent"], "absent"),
        (["score", "{}/absent", "{}/nothing"], "absent"),
    ],
)
def test_errors_are_named(tmp_path, arguments, named):
    done = run.invoke(app, ["rcbench", *(a.format(tmp_path) for a in arguments)])
    assert done.exit_code != 0
    assert isinstance(done.exception, InputError)
    assert named in str(done.exception)


def test_an_answer_to_an_unknown_case(tmp_path):
    run.invoke(app, ["rcbench", "generate", str(tmp_path), "--levels", "1", "--seeds", "0"])
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"id": "other", "answer": "?"}\n')
    done = run.invoke(app, ["rcbench", "score", str(tmp_path), str(answers)])
    assert "other" in str(done.exception)
    answers.write_text("{nonsense\n")
    done = run.invoke(app, ["rcbench", "score", str(tmp_path), str(answers)])
    assert "line 1" in str(done.exception)


def test_a_summary_counts_violations_by_type():
    good = {"schedule": {f"T{i + 1}": start for i, start in enumerate(WITNESS)}}
    bad = {"schedule": {f"T{i + 1}": 0 for i in range(len(WITNESS))}}
    found = summarise([(CASE, score(CASE, good)), (CASE, score(CASE, bad))])
    assert found["feasible"] == 0.5
    assert found["curve"] == {12: 0.5}
    assert found["violation_rate"]["precedence"] == 0.5
    assert found["violation_rate"]["missing"] == 0.0
