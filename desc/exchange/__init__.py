"""Descriptors in exchange formats: descriptor JSON, npz, CSV and Parquet."""

from desc.exchange.export import FORMATS, export_corpus
from desc.exchange.json_reading import (
    descriptor_json_hop,
    read_descriptor_json,
    read_json_folder,
)
from desc.exchange.json_writing import write_descriptor_json

__all__ = [
    "FORMATS",
    "descriptor_json_hop",
    "export_corpus",
    "read_descriptor_json",
    "read_json_folder",
    "write_descriptor_json",
]
