"""The stored values of sample images, as pydicom and its plugins decode them, and images that other coders made of them.
Prints a list: where each data set is, which frame, and where its values are in the file of values (32 bits, Little Endian)."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy
import pydicom
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless, RLELossless

warnings.simplefilter("ignore")
FOLDER = Path(sys.argv[1])
SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")

found, values = [], open(FOLDER / "values", "wb")


def offset(path):
    with open(path, "rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        return file.tell()


def add(path, frame, reference):
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    if reference.dtype.kind == "u" and reference.dtype.itemsize == 4:
        reference = reference.astype("<u4").view("<i4")
    place = values.tell()
    values.write(reference.astype("<i4").tobytes())
    found.append({
        "path": str(path), "offset": offset(path), "syntax": str(syntax), "frame": frame,
        "from": place, "count": int(reference.size), "exact": str(syntax) not in LOSSY,
    })


def samples():
    for path in sorted(SAMPLES.glob("*.dcm")):
        try:
            data = pydicom.dcmread(path)
            frames = int(data.get("NumberOfFrames") or 1)
            for frame in sorted({1, frames}):
                add(path, frame, pixel_array(data, index=frame - 1, raw=True))
        except Exception:
            continue  # no image, or one that nobody reads


def made():
    for name in ("CT_small.dcm", "examples_rgb_color.dcm", "MR_small.dcm"):
        for syntax, options in (
            (RLELossless, {}), (JPEGLSLossless, {}), (JPEGLSNearLossless, {"jls_error": 3}), (JPEG2000Lossless, {}),
        ):
            data = pydicom.dcmread(SAMPLES / name)
            data.compress(syntax, generate_instance_uid=False, **options)
            path = FOLDER / f"{name}.{syntax}"
            data.save_as(path)
            add(path, 1, pixel_array(pydicom.dcmread(path), index=0, raw=True))
        # Every predictor of lossless JPEG, by DCMTK.
        reference = pixel_array(pydicom.dcmread(SAMPLES / name), index=0, raw=True)
        native = FOLDER / f"{name}.native"
        subprocess.run(["dcmconv", "+te", SAMPLES / name, native], check=True, capture_output=True)
        for predictor in range(1, 8):
            path = FOLDER / f"{name}.predictor-{predictor}"
            subprocess.run(["dcmcjpeg", "+el", "+sv", str(predictor), native, path], check=True, capture_output=True)
            add(path, 1, reference)


samples()
made()
values.close()
print(json.dumps(found))
