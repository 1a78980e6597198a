"""What is said of a file, against what was put into it; C2PA against a manifest signed in the test."""

import datetime
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dfgame.media import MediaError, count_frames, media_facts, read_frames, write_video
from test_media import rotated
from test_media_videos import HEIGHT, WIDTH, encode, image, interlaced


def test_facts_of_a_video(tmp_path):
    path = encode(tmp_path / "film.mp4", 50, pix_fmt="yuv420p10le")
    facts = media_facts(path)
    assert (facts.width, facts.height, facts.codec, facts.pixel_format) == (WIDTH, HEIGHT, "h264", "yuv420p10le")
    assert "mp4" in facts.container and facts.size == path.stat().st_size
    assert (facts.frames, facts.duration, facts.frame_rate) == (50, 2.0, 25.0)
    assert facts.bit_rate == pytest.approx(facts.size * 8 / 2.0, rel=0.01)
    assert (facts.rotation, facts.interlaced, facts.audio, facts.provenance) == (0, False, False, None)


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_sides_are_those_of_the_frames_as_shown(tmp_path, clockwise):
    write_video(tmp_path / "film.mp4", [image(number) for number in range(4)], fps=25, crf=0)
    path = rotated(tmp_path / "film.mp4", clockwise)
    facts = media_facts(path)
    assert facts.rotation == clockwise
    assert (facts.height, facts.width) == next(read_frames(path)).image.shape[:2]


def test_interlaced_and_with_sound(tmp_path):
    assert media_facts(interlaced(tmp_path / "a.mp4", 5, "libx264", **{"x264-params": "tff=1"})).interlaced
    path = tmp_path / "loud.mkv"
    with av.open(str(path), "w") as container:
        stream, sound = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=8000)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.metadata["title"] = "<script>alert(1)</script>\n\x07second line"
        container.metadata["comment"] = "x" * 5000
        for number in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image(number), format="rgb24")))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.rate = 8000
        container.mux(sound.encode(samples))
        container.mux(stream.encode())
        container.mux(sound.encode())
    facts = media_facts(path)
    tags = dict(facts.tags)
    assert facts.audio is True and facts.frames == 5 == count_frames(path)
    assert tags["title"] == "<script>alert(1)</script> second line"
    assert len(tags["COMMENT" if "COMMENT" in tags else "comment"]) == 200


def test_facts_of_a_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0132] = "Maker", "Model 3", "Editor\n2", "2024:05:06 07:08:09"
    exif[0x0112] = 6
    path = tmp_path / "photograph.jpg"
    Image.fromarray(image(0)).save(path, exif=exif)
    facts = media_facts(path)
    assert (facts.container, facts.codec, facts.pixel_format, facts.frames) == ("JPEG", "jpeg", "RGB", 1)
    assert (facts.width, facts.height, facts.rotation) == (HEIGHT, WIDTH, 90)
    assert dict(facts.tags) == {
        "Make": "Maker",
        "Model": "Model 3",
        "Software": "Editor 2",
        "DateTime": "2024:05:06 07:08:09",
    }
    assert (facts.duration, facts.frame_rate, facts.audio) == (None, None, None)


def test_texts_of_a_png_and_no_more_than_fifty(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a portrait, steps: 20")
    for number in range(80):
        texts.add_text(f"key{number}", "value")
    Image.fromarray(image(0)).save(tmp_path / "made.png", pnginfo=texts)
    tags = media_facts(tmp_path / "made.png").tags
    assert tags[0] == ("parameters", "a portrait, steps: 20") and len(tags) == 50


def test_facts_of_a_picture_that_moves(tmp_path):
    frames = [Image.fromarray(image(number)) for number in (0, 10, 20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 200, 300])
    facts = media_facts(tmp_path / "a.gif")
    assert (facts.container, facts.frames, facts.audio) == ("GIF", 3, False)
    assert facts.duration == pytest.approx(0.6) and facts.frame_rate == pytest.approx(5)


def test_what_is_neither_has_no_facts(tmp_path):
    (tmp_path / "a.mp4").write_text("text" * 50)
    with pytest.raises(MediaError, match="not a video"):
        media_facts(tmp_path / "a.mp4")


def certificates() -> tuple[bytes, bytes]:
    """A chain of two and the private key of its leaf, as a C2PA signer has it, made here and trusted by nobody."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        parts = [(NameOID.ORGANIZATION_NAME, "A Test Newsroom"), (NameOID.COMMON_NAME, common)]
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])

    def usage(*, sign: bool) -> x509.KeyUsage:
        rest = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        return x509.KeyUsage(
            digital_signature=sign, key_cert_sign=not sign, crl_sign=not sign, decipher_only=False, **rest
        )

    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = []
    for key, subject, is_root in ((leaf, name("Signer"), False), (root, name("Root"), True)):
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(name("Root")).public_key(key.public_key())
        )
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start)
        builder = builder.not_valid_after(start + datetime.timedelta(days=300))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        builder = builder.add_extension(usage(sign=not is_root), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        if not is_root:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        chain.append(builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return b"".join(chain), leaf.private_bytes(pem, pkcs8, serialization.NoEncryption())


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> Path:
    """A JPEG with a manifest that says an editor opened and then cropped it."""
    c2pa = pytest.importorskip("c2pa", reason="C2PA is an optional extra")
    chain, key = certificates()
    manifest = {
        "claim_generator_info": [{"name": "An Editor", "version": "3.1"}],
        "title": "photograph",
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
                        },
                        {"action": "c2pa.cropped"},
                    ]
                },
            }
        ],
    }
    source, target = io.BytesIO(), io.BytesIO()
    Image.fromarray(image(0)).resize((200, 200)).save(source, "JPEG")
    source.seek(0)
    info = c2pa.C2paSignerInfo(b"es256", chain, key, None)
    context = c2pa.Context.from_dict({"verify": {"verify_after_sign": False}})
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(manifest), context=context) as builder:
        builder.sign(signer, "image/jpeg", source, target)
    path = tmp_path_factory.mktemp("signed") / "signed.jpg"
    path.write_bytes(target.getvalue())
    return path


def test_provenance_of_a_signed_picture(signed):
    said = media_facts(signed).provenance
    assert said is not None
    assert said["present"] is True and said["valid"] is True and said["trusted"] is False
    assert said["claim_generator"] == "An Editor 3.1" and said["signed_by"] == "A Test Newsroom"
    assert said["actions"] == ["c2pa.created (trainedAlgorithmicMedia)", "c2pa.cropped"]
    assert said["title"] == "photograph"


def test_a_picture_altered_after_it_was_signed(signed, tmp_path):
    content = bytearray(signed.read_bytes())
    content[-60] ^= 0x55
    path = tmp_path / "altered.jpg"
    path.write_bytes(content)
    said = media_facts(path).provenance
    assert said is not None and said["valid"] is False
    assert "assertion.dataHash.mismatch" in said["problems"]


def test_a_damaged_manifest_is_said_to_be_there(signed, tmp_path):
    content = signed.read_bytes()
    at = content.index(b"c2pa")
    path = tmp_path / "damaged.jpg"
    path.write_bytes(content[: at + 40] + bytes(400) + content[at + 440 :])
    said = media_facts(path).provenance
    assert said is not None and said["present"] is True and said["valid"] is not True


def test_without_the_library_a_manifest_is_said_to_be_there(signed):
    code = (
        "import sys; sys.modules['c2pa'] = None\n"
        "from pathlib import Path; from dfgame.media import media_facts\n"
        "said = media_facts(Path(sys.argv[1])).provenance\n"
        "assert said['present'] is True and said['valid'] is None and 'provenance' in said['note'], said\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(signed)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_video_has_no_provenance_because_the_letters_are_in_it(tmp_path):
    path = encode(tmp_path / "a.mp4", 5)
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 12, b"free") + b"c2pa")
    assert media_facts(path).provenance is None
