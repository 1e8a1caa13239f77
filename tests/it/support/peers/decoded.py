"""Objects that were decoded on their way, judged by pydicom.

`decoded.py make FOLDER` puts coded objects there, as one study: all samples of pydicom, and some that its plugins code; prints
[path, SOP Instance UID, SOP Class UID] of each. `decoded.py LIST` reads pairs of paths as JSON, what was held and what came
(or null), and prints what is wrong, and how many of each kind were compared."""

import json
import sys
import warnings
from pathlib import Path

import numpy
import pydicom
from pydicom.pixels import convert_color_space, pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless, RLELossless

warnings.simplefilter("ignore")
LOSSY = {"1.2.840.10008.1.2.4.50": "ISO_10918_1", "1.2.840.10008.1.2.4.51": "ISO_10918_1"}
#: What decoding changes.
PIXELS = {
    "PixelData", "PhotometricInterpretation", "PlanarConfiguration", "HighBit", "LossyImageCompression",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "IconImageSequence", "EncapsulatedPixelDataValueTotalLength",
}
told = {"wrong": [], "exact": 0, "near": 0, "unread": 0, "frames": 0}


def make(folder):
    samples = Path(pydicom.__file__).parent / "data" / "test_files"
    files = []
    for path in sorted(samples.glob("*.dcm")):
        try:
            data = pydicom.dcmread(path)
            if data.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in data:
                files.append((path.name, data))
        except Exception:
            continue  # made to be unreadable
    for name in ("CT_small.dcm", "examples_rgb_color.dcm"):
        for syntax, options in (
            (RLELossless, {}), (JPEGLSLossless, {}), (JPEGLSNearLossless, {"jls_error": 3}), (JPEG2000Lossless, {}),
        ):
            data = pydicom.dcmread(samples / name)
            data.compress(syntax, generate_instance_uid=False, **options)
            files.append((f"{name}.{syntax}", data))
    made = []
    for number, (name, data) in enumerate(files):
        uid = f"1.2.826.0.1.3680043.10.7.3.{number}"
        data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.826.0.1.3680043.10.7.1", "1.2.826.0.1.3680043.10.7.2"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid
        data.StudyDate, data.StudyTime, data.PatientID, data.PatientName = "20240101", "", "D1", "Decoded^D"
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = data.get("SOPClassUID") or "1.2.840.10008.5.1.4.1.1.7"
        path = folder / name
        try:
            data.save_as(path)
        except Exception:
            path.unlink(missing_ok=True)
            continue  # pydicom reads it, and cannot write it
        made.append([str(path), uid, str(data.SOPClassUID)])
    print(json.dumps(made))


def main():
    if sys.argv[1] == "make":
        return make(Path(sys.argv[2]))
    for held, came in json.loads(Path(sys.argv[1]).read_text()):
        name = Path(held).name
        before = pydicom.dcmread(held)
        try:
            frames = int(before.get("NumberOfFrames") or 1)
            expected = [pixel_array(before, index=n, raw=True) for n in sorted({0, frames - 1})]
        except Exception:
            told["unread"] += 1
            continue  # nobody reads it
        if came is None:
            told["wrong"].append(f"{name} did not come")
            continue
        after = pydicom.dcmread(came, force=True)
        compare(name, before, after, frames, expected)
    print(json.dumps(told))


def compare(name, before, after, frames, expected):
    wrong = told["wrong"]
    syntax = str(before.file_meta.TransferSyntaxUID)
    if after.file_meta.TransferSyntaxUID.is_encapsulated or after["PixelData"].is_undefined_length:
        wrong.append(f"{name} is not native")
    for element in before:
        if element.keyword in PIXELS or element.tag.is_private or element.tag.element == 0 or element.tag.group in (0x0400, 0xFFFC):
            continue
        if element.tag not in after or str(after[element.tag].value) != str(element.value):
            wrong.append(f"{name} {element.keyword}: {after.get(element.tag)} for {element}"[:300])
    if any(tag.group == 0x7FE0 and tag.element != 0x10 for tag in after.keys()):
        wrong.append(f"{name} has tables of offsets")
    length = before.Rows * before.Columns * before.SamplesPerPixel * before.BitsAllocated // 8 * frames
    if len(after.PixelData) != length + length % 2:
        wrong.append(f"{name} has {len(after.PixelData)} bytes of pixels for {length}")
    color = after.PhotometricInterpretation
    if after.SamplesPerPixel == 3 and (after.PlanarConfiguration != 0 or color not in ("RGB", "YBR_FULL")):
        wrong.append(f"{name} is {color}, planar {after.PlanarConfiguration}")
    for number, one in zip(sorted({0, frames - 1}), expected):
        other = pixel_array(after, index=number, raw=True)
        told["frames"] += 1
        if syntax not in LOSSY:
            told["exact"] += 1
            if other.shape != one.shape or not numpy.array_equal(one, other):
                wrong.append(f"{name} ({syntax}) frame {number}: other values")
            continue
        told["near"] += 1
        if one.ndim == 3 and before.PhotometricInterpretation != "RGB":
            one = convert_color_space(one, "YBR_FULL", "RGB")
        most = 2.0 ** before.BitsStored - 1
        error = numpy.mean((one.astype("f8") - other.astype("f8")) ** 2)
        if error and 10 * numpy.log10(most * most / error) < 45:
            wrong.append(f"{name} ({syntax}) frame {number}: {10 * numpy.log10(most * most / error):.1f} dB")
        if color == "YBR_FULL":
            wrong.append(f"{name} is still {color}")
    if syntax in LOSSY:
        ratio = after.get("LossyImageCompressionRatio")
        if after.get("LossyImageCompression") != "01" or not after.get("LossyImageCompressionMethod") or not ratio:
            wrong.append(f"{name}: it is not said that it was lossy")
        if before.get("LossyImageCompression") != "01" and after.LossyImageCompressionMethod != LOSSY[syntax]:
            wrong.append(f"{name}: {after.LossyImageCompressionMethod}")
    elif "LossyImageCompression" in before and after.LossyImageCompression != before.LossyImageCompression:
        wrong.append(f"{name}: Lossy Image Compression was {before.LossyImageCompression}")


main()
