"""What a run has heard: recordings it may not be judged by, and those novelty is measured from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from desc.corpus import Corpus
from desc.descriptors.extraction import variant_of
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import CorpusError
from desc.runs import RunRecord
from desc.storage import DescriptorStore

LISTED = 20  # recordings named in an error; more are counted


def refuse_known(records: Sequence[RunRecord], sequences: Sequence[DescriptorSequence]) -> None:
    """Refuse recordings that a run learned from or was chosen by, whatever their names.

    Raises
    ------
    CorpusError
        If there is one; all are named.
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
            "figures on recordings that a run has heard say nothing about it; leave them out "
            "(--exclude), or judge with them all the same (--allow_training_files):\n"
            + "\n".join(lines[:LISTED] + more)
        )


def training_recordings(
    records: Sequence[RunRecord],
    store: DescriptorStore,
    open_training: Callable[[], Corpus] | None = None,
) -> tuple[list[DescriptorSequence], list[str]]:
    """Find the descriptors of the recordings that runs learned from, by digest.

    Those at other speeds (`with_variants`) are left out.

    Parameters
    ----------
    records : sequence of RunRecord
        Of one descriptor configuration.
    store : DescriptorStore
        The cache, asked first.
    open_training : callable, optional
        Returns the folder of training recordings; called where the cache lacks one.

    Returns
    -------
    found : list of DescriptorSequence
    missing : list of str
        Recordings that are nowhere, as the runs call them.
    """
    wanted = {
        digest: source
        for record in records
        for digest, source in record.training_files.items()
        if variant_of(digest)[1] == 1
    }
    config = records[0].descriptor_config
    found = {}
    for digest, source in wanted.items():
        sequence = store.load(digest, config, source)
        if sequence is not None:
            found[digest] = sequence
    if len(found) < len(wanted) and open_training is not None:
        found |= {s.digest: s for s in open_training().sequences if s.digest in wanted}
    missing = [source for digest, source in wanted.items() if digest not in found]
    return [found[digest] for digest in wanted if digest in found], missing
