"""Audio mosaicing: play a recording with the sounds of another folder, without a model.

python examples/mosaic.py [RECORDING SOUNDS OUTPUT.wav]
"""

import sys

import desc


def main() -> None:
    """Extract the recording's descriptors, match them, and render the result."""
    if sys.argv[1:]:
        recording, sounds_dir, output_path = sys.argv[1:]
    else:
        recordings_dir, sounds_dir = desc.write_corpus("desc-demo/seed-0")
        recording, output_path = f"{recordings_dir}/03 duet.wav", "desc-demo/mosaic.wav"
    config, store = desc.DescriptorConfig(), desc.DescriptorStore()
    target = desc.extract(recording, config)
    sounds = desc.open_corpus(sounds_dir, config, store).with_sound()
    database = desc.DescriptorDatabase.from_corpus(sounds, store)
    query, selection = desc.QueryConfig(match_space=0.5), desc.SelectionConfig(continuity=1.0)
    match = desc.Matcher(database, query=query, selection=selection).match(target)
    desc.render_to_file(match.playlist, output_path, store=store)
    print(f"{output_path}: {match}")


if __name__ == "__main__":
    main()
