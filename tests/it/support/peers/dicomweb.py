"""A DICOMweb client that looks at everything: by dicomweb-client, judged by pydicom.

`dicomweb.py URL TOKEN walk` goes through all that is held, `store FILE...` brings files in. Both speak JSON on standard
output; see dicomweb.rs, which calls this.
"""

import json
import math
import sys
import warnings
from io import BytesIO

import numpy
import pydicom
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session

warnings.simplefilter("ignore")


def main():
    url, token, what = sys.argv[1:4]
    session = create_session()
    session.headers["Authorization"] = f"Bearer {token}"
    client = DICOMwebClient(url=url, session=session)
    # It calls us by our name without the port, and addresses in answers are made of what we are called.
    client.host = f"{client.host}:{url.split(':')[2].split('/')[0]}"
    if what == "walk":
        answer = walk(client)
    elif what == "store":
        answer = store(client, sys.argv[4:])
    else:
        raise SystemExit(f"what is `{what}`?")
    json.dump(answer, sys.stdout)


def walk(client):
    seen = {"studies": {}, "wrong": [], "metadata": 0, "frames": 0, "bulk": 0}
    for study in pages(client.search_for_studies, 7):
        uid = study["0020000D"]["Value"][0]
        series = client.search_for_series(uid)
        instances = client.search_for_instances(uid)
        files = {str(file.SOPInstanceUID): file for file in client.retrieve_study(uid)}
        told = {one["00080018"]["Value"][0]: one for one in client.retrieve_study_metadata(uid)}
        if not (set(files) == set(told) == {one["00080018"]["Value"][0] for one in instances}):
            seen["wrong"].append(f"{uid}: {sorted(files)} {sorted(told)}")
        counts = [study["00201206"]["Value"][0], study["00201208"]["Value"][0]]
        if counts != [len(series), len(instances)]:
            seen["wrong"].append(f"{uid}: counts {counts}, {len(series)} series, {len(instances)} instances")
        seen["studies"][uid] = {one["0020000E"]["Value"][0]: one["00201209"]["Value"][0] for one in series}
        for instance, file in files.items():
            if instance in told:
                compare(client, f"{instance}", file, told[instance], seen)
                seen["metadata"] += 1
            frames(client, uid, instance, file, seen)
    return seen


def pages(search, size):
    """All answers, a page at a time, by offset."""
    found, offset = [], 0
    while page := search(limit=size, offset=offset):
        found += page
        offset += len(page)
    return found


def compare(client, where, dataset, told, seen):
    """What was told of a data set against what pydicom says of it."""
    mine = set(told) - {"00080005"}
    pixels = 0x7FE00010
    theirs = {f"{int(tag):08X}" for tag in dataset.keys() if tag.element and int(tag) <= pixels} - {"00080005"}
    if mine != theirs:
        seen["wrong"].append(f"{where}: elements {sorted(mine ^ theirs)}")
    for key in sorted(mine & theirs):
        element, one = dataset[key], told[key]
        if one["vr"] == "UN" and element.tag.is_private:
            # pydicom knows some makers' own attributes that are sent without a value representation.
            continue
        if one["vr"] == "SQ":
            items = one.get("Value", [])
            if element.VR != "SQ" or len(items) != len(element.value):
                seen["wrong"].append(f"{where} {key}: {len(items)} items")
                continue
            for number, (item, ours) in enumerate(zip(element.value, items)):
                compare(client, f"{where} {key}[{number}]", item, ours, seen)
        elif "BulkDataURI" in one:
            if key != "7FE00010":
                bulk(client, where, key, element, one, seen)
        else:
            try:
                expected = element.to_json_dict(None, 1 << 40)
            except ValueError:
                # A sample with a number that is none: pydicom has no JSON for it.
                continue
            if not same(expected, one):
                seen["wrong"].append(f"{where} {key}: {json.dumps(one)} is not {json.dumps(expected)}")


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        # An empty name is one without groups.
        return all(same(a.get(key), b.get(key)) for key in set(a) | set(b) if a.get(key) or b.get(key))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, float) or isinstance(b, float):
        try:
            return math.isclose(float(a), float(b)) or (math.isnan(float(a)) and math.isnan(float(b)))
        except (TypeError, ValueError):
            return False
    if isinstance(a, str) and isinstance(b, str):
        # Spaces at the end mean nothing (PS3.5 §6.2), before a backslash too.
        return a.rstrip(" ") == b.rstrip(" ")
    return a == b or (not a and not b)


def bulk(client, where, key, element, one, seen):
    got = b"".join(client.retrieve_bulkdata(one["BulkDataURI"]))
    value = element.value
    if isinstance(value, bytes):
        seen["bulk"] += 1
        if got.rstrip(b"\0") != value.rstrip(b"\0"):
            seen["wrong"].append(f"{where} {key}: {len(got)} bytes are not the {len(value)} that are held")


def frames(client, study, instance, file, seen):
    """Frames against the pixel data of the file."""
    if "PixelData" not in file:
        return
    try:
        count = int(file.get("NumberOfFrames", 1) or 1)
    except ValueError:
        # The same sample: nobody knows how many there are.
        return
    syntax = file.file_meta.TransferSyntaxUID
    numbers = sorted({1, count})
    url = f"{client.base_url}/studies/{study}/series/{file.SeriesInstanceUID}/instances/{instance}/frames"
    headers = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    response = client._session.get(f"{url}/{','.join(map(str, numbers))}", headers=headers)
    if response.status_code != 200:
        seen["wrong"].append(f"{instance}: frames: {response.status_code} {response.text}")
        return
    got = [part for part in client._decode_multipart_message(response, stream=False)]
    if syntax.is_encapsulated:
        generate = pydicom.encaps.generate_frames(file.PixelData, number_of_frames=count)
        expected = list(generate)
    else:
        pixels = file.PixelData
        if not syntax.is_little_endian and file.BitsAllocated == 16:
            pixels = numpy.frombuffer(pixels, ">u2").astype("<u2").tobytes()
        size = len(pixels) // count
        expected = [pixels[n * size : (n + 1) * size] for n in range(count)]
    for number, part in zip(numbers, got):
        seen["frames"] += 1
        one = expected[number - 1]
        if part != one and part != one[: len(part)]:
            seen["wrong"].append(f"{instance}: frame {number} of {syntax}: {len(part)} bytes, {len(one)} are held")
        if not part:
            seen["wrong"].append(f"{instance}: frame {number} is empty")


def store(client, paths):
    files = [pydicom.dcmread(path, force=True) for path in paths]
    response = client.store_instances(files)
    told = {keyword: [] for keyword in ("ReferencedSOPSequence", "FailedSOPSequence")}
    for keyword, found in told.items():
        found += [str(item.ReferencedSOPInstanceUID) for item in response.get(keyword, [])]
    return told


if __name__ == "__main__":
    main()
