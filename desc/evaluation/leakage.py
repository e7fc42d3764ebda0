"""Leakage check: evaluation recordings must not come from a run's training or validation set."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from desc.corpus import Corpus
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import CorpusError
from desc.runs import RunRecord
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

LISTED = 20  # recordings named in an error; more are counted


def check_leakage(records: Sequence[RunRecord], sequences: Sequence[DescriptorSequence]) -> None:
    """Refuse recordings that a run was trained or validated on, whatever their names.

    Raises
    ------
    CorpusError
        If there are any; the first 20 are named.
    """
    lines = []
    for record in records:
        for sequence in sequences:
            for part in ("training", "validation"):
                known = getattr(record, f"{part}_files").get(sequence.digest)
                if known is not None:
                    lines.append(
                        f"  {sequence.source}: {known} of run {record.run_id}'s {part} set"
                    )
    if lines:
        more = [f"  … and {len(lines) - LISTED} more"] * (len(lines) > LISTED)
        raise CorpusError(
            "these recordings were used to train or select a run, so they cannot evaluate it; "
            "leave them out (--exclude), or use them anyway (--allow_training_files):\n"
            + "\n".join(lines[:LISTED] + more)
        )


def find_training_recordings(
    records: Sequence[RunRecord], store: DescriptorStore, folder: Corpus | None = None
) -> list[DescriptorSequence] | None:
    """Find the descriptors of the recordings that runs were trained on, by content.

    Copies at other speeds (`with_variants`) are not needed.

    Parameters
    ----------
    records : sequence of RunRecord
        Runs with one descriptor configuration.
    store : DescriptorStore
        The cache, searched first.
    folder : Corpus, optional
        The training recordings, searched for those that the cache lacks.

    Returns
    -------
    list of DescriptorSequence or None
        None where a recording is missing.
    """
    wanted = {
        digest: source
        for record in records
        for digest, source in record.training_files.items()
        if variant_of(digest)[1] == 1
    }
    config = records[0].descriptor_config
    given = {} if folder is None else {s.digest: s for s in folder.sequences}
    found, missing = [], []
    for digest, source in wanted.items():
        sequence = store.load(digest, config, source)
        if sequence is None:
            sequence = given.get(digest)
        if sequence is None:
            missing.append(source)
        else:
            found.append(sequence)
    if missing:
        logger.warning(
            "%d training recordings are not in the cache, such as %s", len(missing), missing[0]
        )
    return found if found and not missing else None
