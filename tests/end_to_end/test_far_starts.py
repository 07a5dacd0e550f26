"""Particles that start far from where they belong come home."""

FAR = {
    "sample": {"particles": 20},
    "tilts": {"step_deg": [6.0]},
    "picks": {"position_error_angstrom": 6.0, "rotation_error_deg": 5.5},
}


def test_starts_wrong_by_ten_angstroms_and_eight_degrees_come_home(make_project, refine):
    """The half maps of such a start show a blob of some 40 Å, to which all have to find their way together."""
    project = make_project(FAR)
    start = project.start()
    assert start.position_rms_angstrom > 10
    assert start.orientation_rms_deg > 8
    run = refine(project)
    assert run.outcome.code == 0, run.outcome.stderr
    end = project.refined(run.output)
    assert end.position_rms_angstrom < 2.5
    assert end.orientation_rms_deg < 2.5
