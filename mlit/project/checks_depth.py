"""Wording of what images say about the sign of depth."""

from collections.abc import Mapping

from mlit.likelihood.depth_hand import SURE, HandEvidence
from mlit.project.findings import Finding, Severity

_VERDICTS = {
    "as stated": "is as stated",
    "opposite": "is the opposite of what is stated",
    "cannot tell": "cannot be told from the images",
}


def depth_findings(
    series: Mapping[str, HandEvidence],
    together: HandEvidence,
    stated_inverted: Mapping[str, bool],
    resolution_angstrom: float,
) -> list[Finding]:
    """Say for all series together and for each one which sign the images prefer, and how surely.

    Parameters
    ----------
    series, together
        Evidence of each series, and of all.
    stated_inverted
        ``AreAnglesInverted`` of each series.
    resolution_angstrom
        How fine the detail was that had a say.
    """
    findings = [_finding("", together, None, resolution_angstrom)] if len(series) != 1 else []
    return findings + [_finding(name, one, stated_inverted[name], resolution_angstrom) for name, one in series.items()]


def _finding(name: str, evidence: HandEvidence, inverted: bool | None, resolution: float) -> Finding:
    verdict = evidence.verdict
    amount = (
        f"{evidence.sigmas:+.1f} σ for the stated one, {evidence.particles} particles, detail to {resolution:.1f} Å"
    )
    remedy = {
        "as stated": "nothing needs to be done",
        "cannot tell": f"{SURE:g} σ are asked for: check again after a first refinement, which shows finer detail",
        "opposite": "turn it: AreAnglesInverted in the XML (ts_defocus_hand of WarpTools), rlnTomoHand in RELION",
    }[verdict]
    if verdict == "opposite" and inverted is not None:
        remedy = (
            f"set AreAnglesInverted to {not inverted} (ts_defocus_hand of WarpTools), or turn rlnTomoHand in RELION"
        )
    severity = Severity.ERROR if verdict == "opposite" else Severity.NOTE
    return Finding(severity, name, "sign of depth", f"{_VERDICTS[verdict]} ({amount})", remedy)
