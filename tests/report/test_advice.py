"""What to do next follows from what was found."""

from dataclasses import replace

import numpy as np
import pytest

from identirep.mtlcm import GoodnessOfFit
from identirep.report import Made
from identirep.report.advice import next_steps


def _said(*arguments):
    return " ".join(f"{step.text} {step.command}" for step in next_steps(*arguments))


def test_axes_that_come_back_are_to_be_named_and_others_are_not(of_size):
    found, evaluation, _ = of_size(10, 4)
    said = _said(found, evaluation, Made(run="runs/my alloys"))
    assert "Name axis 2: " in said, "0 has a name"
    assert "identirep name 'runs/my alloys' 2=NAME" in said
    assert "Do not name axes 1 and 3: in a fit to other rows they may lie elsewhere" in said
    assert "identirep transform 'runs/my alloys' NEW_DATA --check" in said
    assert "--like 'runs/my alloys'" in said
    assert "model.name_latents({2: 'NAME'})" in _said(found, evaluation, Made())


def test_nothing_is_advised_for_axes_that_do_not_come_back_but_rows_or_fewer(of_size):
    found, evaluation, _ = of_size(10, 2)
    bad = replace(found, certificate=replace(found.certificate, verdict=["unstable"] * 2), given_names={})
    (step,) = next_steps(bad, evaluation, Made(run="runs/a"))
    assert step.text.startswith("Do not name axes 0 and 1")
    assert step.text.endswith("More rows, or fewer latents, may bring them back.")


def test_names_of_axes_that_do_not_come_back_are_not_to_be_relied_on(of_size):
    found, evaluation, _ = of_size(10, 3)
    bad = replace(found, certificate=replace(found.certificate, verdict=["unstable"] * 3), given_names={0: "a", 2: "b"})
    (step,) = next_steps(bad, evaluation, Made(run="runs/a"))
    assert step.text.startswith("Do not name axis 1, and do not rely on the names of axes 0 and 2: in a fit to other")


def test_axes_that_were_not_checked_are_to_be_checked(of_size):
    found, evaluation, _ = of_size(10, 2)
    back = replace(found.certificate.comes_back, other_rows=np.full(2, np.nan))
    certificate = replace(found.certificate, verdict=["not checked"] * 2, comes_back=back)
    (step,) = next_steps(replace(found, certificate=certificate), evaluation, Made(run="runs/a"))
    assert step.text.startswith("Check axes 0 and 1 before use")


@pytest.mark.parametrize(
    ("answer", "text"),
    [("none", "predict none of them"), ("signal", "Fit again with a regressor"), ("too few rows", "Add rows")],
)
def test_without_signal_one_thing_is_to_be_done(of_size, answer, text):
    found, evaluation, _ = of_size(10, 2)
    (step,) = next_steps(replace(found, threshold=np.full(30, 9.0), no_signal=answer), evaluation, Made(run="r"))
    assert text in step.text
    assert ("--regressor auto" in step.command) == (answer == "signal")


def test_roles_are_advised_upon_where_they_mean_something(of_size):
    for wide, p_value, shown in ((True, 0.4, False), (False, 0.4, True), (False, 1e-9, False)):
        found, evaluation, _ = of_size(10, 2, wide=wide)
        found = replace(found, certificate=replace(found.certificate, goodness_of_fit=GoodnessOfFit(1.0, p_value)))
        assert ("Read the roles" in _said(found, evaluation, Made(run="r"))) == shown
