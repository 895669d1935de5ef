"""The command line, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import optsched as op

SHOP = {"jobs": [[[0, 3], [1, 2]], [[1, 4], [0, 1]]], "family": "job_shop", "name": "tiny"}


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(SHOP))
    return path


def test_solve_prints_progress_and_the_proof(run, shop):
    code, _, err = run("solve", shop)
    assert code == 0
    assert "tiny: job shop, 2 jobs x 2 machines" in err
    assert "OPTIMAL" in err
    assert "objective 6" in err


def test_solve_quiet_says_nothing(run, shop):
    assert run("solve", shop, "--quiet") == (0, "", "")


def test_json_to_stdout_can_be_piped(run, shop):
    code, out, _ = run("solve", shop, "--json", "-", "--solver", "cpsat")
    result = json.loads(out)
    assert code == 0
    keys = {"status", "objective", "bound", "gap", "solver", "time", "trace", "solution"}
    assert keys <= result.keys()
    assert (result["status"], result["objective"], result["bound"]) == ("OPTIMAL", 6, 6)


def test_a_result_is_a_hint_and_can_be_checked(run, shop, tmp_path):
    target = tmp_path / "result.json"
    assert run("solve", shop, "--json", target, "-q")[0] == 0
    code, _, err = run("solve", shop, "--hint", target, "--solver", "heuristic")
    assert code == 0
    assert "hint" in err
    code, out, _ = run("check", shop, target)
    assert (code, out) == (0, "feasible, objective 6\n")


def test_check_names_every_violation(run, shop, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"start": [0, 1, 0, 4], "machine": [0, 1, 1, 0]}))
    code, out, _ = run("check", shop, wrong)
    assert code == 1
    assert "job 0, operation 1 starts at 1, before its predecessor lets it at 3" in out
    wrong.write_text(json.dumps({"start": [0], "machine": [0]}))
    assert run("check", shop, wrong)[0] == 1


def test_check_refuses_a_false_claim(run, shop, tmp_path):
    solution = {"start": [0, 4, 0, 4], "machine": [0, 1, 1, 0]}
    claim = tmp_path / "claim.json"
    claim.write_text(json.dumps({"objective": 5, "solution": solution}))
    code, out, _ = run("check", shop, claim)
    assert code == 1
    assert "claims 5" in out


@pytest.mark.parametrize("suffix", [".lp", ".mps", ".json", ".txt", ".fjs"])
def test_export_writes_models_and_formats(run, shop, tmp_path, suffix):
    target = tmp_path / f"out{suffix}"
    assert run("export", shop, target)[0] == 0
    if suffix in (".json", ".txt", ".fjs"):
        code, out, _ = run("solve", target, "--json", "-", "-q")
        assert code == 0
        assert json.loads(out)["objective"] == 6
    else:
        assert target.stat().st_size > 100


def test_an_infeasible_instance_exits_with_1_and_says_why(run, tmp_path):
    path = tmp_path / "late.json"
    path.write_text(json.dumps(SHOP | {"deadline": [4, None]}))
    code, _, err = run("solve", path)
    assert code == 1
    assert "INFEASIBLE" in err
    assert "job 0 cannot end before 5" in err


def test_nothing_found_in_time_exits_with_3(run, tmp_path, monkeypatch):
    path = tmp_path / "tight.json"
    path.write_text(json.dumps(SHOP | {"deadline": [6, 7]}))
    monkeypatch.setattr("optsched.problems.job_shop.heuristics.construct", lambda *_: None)
    code, _, err = run("solve", path, "--time-limit", 0)
    assert code == 3
    assert "UNKNOWN" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", "no-such-file.txt"], ["no-such-file.txt"]),
        (["solve", "ft1O"], ["ft10"]),
        (["solve", "{shop}", "--solver", "cpsta"], ["cpsta", "cpsat"]),
        (["solve", "{shop}", "--time-limit", "-1"], ["time_limit"]),
        (["solve", "{shop}", "--workers", "0"], ["workers"]),
        (["solve", "{shop}", "-s", "cpsat", "-O", "num_worker=3"], ["num_worker", "num_workers"]),
        (["solve", "{shop}", "-O", "nonsense"], ["NAME=VALUE"]),
        (["solve", "{shop}", "--gantt", "x.gif"], [".gif", ".png"]),
        (["solve", "{shop}", "--json", "no/such/folder/r.json"], ["no/such/folder"]),
        (["solve", "{shop}", "--hint", "{shop}"], ["hint"]),
        (["solve", "{shop}", "--objective", "makespam"], ["makespam"]),
        (["check", "{shop}", "{shop}"], ["start"]),
        (["export", "{shop}", "out.xyz"], [".xyz"]),
        (["datasets", "info", "ta99"], ["ta99"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, shop, arguments, words):
    code, out, err = run(*(a.format(shop=shop) for a in arguments))
    assert code == 2
    assert "Traceback" not in err + out
    message = err.strip().splitlines()[-1]
    for word in words:
        assert word in message


def test_a_broken_file_names_the_job_and_operation(run, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"family": "job_shop", "jobs": [[[0, 3]], [[1, -4]]]}))
    code, _, err = run("solve", path)
    assert code == 2
    assert "job 1, operation 0: duration -4 is negative" in err


def test_a_feature_without_formulation_is_named(run, tmp_path):
    path = tmp_path / "setups.json"
    path.write_text(json.dumps(SHOP | {"setup": [[1, 1], [1, 1]]}))
    code, _, err = run("solve", path, "--solver", "native")
    assert code == 2
    assert "cannot express setup" in err
    assert "cpsat" in err


def test_pictures_are_written(run, shop, tmp_path):
    gantt, trace = tmp_path / "gantt.svg", tmp_path / "trace.html"
    assert run("solve", shop, "--gantt", gantt, "--convergence", trace)[0] == 0
    assert "<svg" in gantt.read_text()
    assert "<html" in trace.read_text()


def test_a_plan_is_written_in_the_formats_of_its_family(run, shop, tmp_path):
    buffers = tmp_path / "buffers.csv"
    buffers.write_text("id,lower,upper,size\na,0,3,8\nb,0,2,4\nc,2,5,4\n")
    plan, header, picture = (tmp_path / name for name in ("plan.csv", "plan.h", "map.svg"))
    assert run("solve", buffers, "-o", plan, "--picture", picture)[0] == 0
    assert plan.read_text().splitlines()[0] == "id,lower,upper,size,offset"
    assert "<svg" in picture.read_text()
    assert run("solve", buffers, "-o", header, "-q")[0] == 0
    assert "#define" in header.read_text()
    assert run("solve", shop, "-o", tmp_path / "schedule.json", "-q")[0] == 0
    assert run("check", shop, tmp_path / "schedule.json")[0] == 0
    code, _, err = run("solve", shop, "-o", tmp_path / "schedule.csv")
    assert code == 2
    assert "unknown suffix" in err


def test_outputs_that_cannot_be_are_refused_before_the_solve(run, shop, tmp_path, monkeypatch):
    monkeypatch.setattr("optsched.solving.solve", None)
    pods = tmp_path / "pods.json"
    pods.write_text(op.PodPacking([[1]], [[1]]).to_json())
    for option, name, words in (
        ("--picture", "x.svg", "a pod_packing has no picture"),
        ("-o", "x.sh", "kubectl get -o json"),
        ("-o", "no/such/x.json", "there is no folder"),
    ):
        code, _, err = run("solve", pods, option, tmp_path / name)
        assert code == 2
        assert words in err


def test_a_plan_is_kept_where_its_picture_fails(run, shop, tmp_path, monkeypatch):
    def fail(*_):
        raise op.InputError("no ink")

    monkeypatch.setattr("optsched.plotting.draw", fail)
    plan = tmp_path / "schedule.json"
    code, _, err = run("solve", shop, "-s", "cpsat", "-o", plan, "--picture", tmp_path / "x.svg")
    assert code == 2
    assert "no ink" in err
    assert run("check", shop, plan)[0] == 0


def test_datasets_are_listed_and_known(run):
    code, out, _ = run("datasets", "list")
    assert code == 0
    assert "jsplib" in out
    code, out, _ = run("datasets", "list", "jsplib")
    assert "ta80" in out
    code, out, _ = run("datasets", "info", "ft10")
    assert code == 0
    assert "930" in out


def test_help_and_version(run):
    for arguments in (["--help"], ["solve", "--help"], ["datasets", "--help"], ["bench", "--help"]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "Usage" in out
    assert op.__version__ in run("--version")[1]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_prints_and_saves_the_incumbent(tmp_path):
    rng = np.random.default_rng(0)
    jobs = [[[int(m), int(rng.integers(1, 99))] for m in rng.permutation(20)] for _ in range(30)]
    instance, target = tmp_path / "large.json", tmp_path / "result.json"
    instance.write_text(json.dumps({"family": "job_shop", "jobs": jobs}))
    command = [sys.executable, "-m", "optsched.cli", "solve", instance, "--json", target]
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
    line = ""
    while "incumbent" not in line:  # the first incumbent is there
        line = process.stderr.readline()
        assert process.poll() is None
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "FEASIBLE" in err
    result = json.loads(target.read_text())
    assert result["stop"] == "USER"
    problem = op.JobShop.from_dict(json.loads(instance.read_text()))
    solution = op.JobShopSolution.from_dict(result["solution"])
    assert problem.check(solution) == []
    assert problem.objective(solution) == result["objective"]
