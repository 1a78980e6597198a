"""Pictures and videos in and out: upright RGB frames with true time stamps, facts of files, H.264 at a given CRF.

What a file is, is told by its content. No file makes a reader open another file or an address, wait, or take memory
out of proportion: what cannot be read is a MediaError of one line.
"""

from dfgame.media.ahead import ahead
from dfgame.media.encode import H264Clip, through_h264, transcode, write_video
from dfgame.media.facts import media_facts
from dfgame.media.guard import MOST_FRAME_PIXELS, MOST_PIXELS, MediaError
from dfgame.media.kinds import kind_of
from dfgame.media.pictures import PICTURE_SUFFIXES, RgbImage, read_image, scaled
from dfgame.media.videos import VIDEO_SUFFIXES, Frame, count_frames, frame_times, read_frames

__all__ = [
    "MOST_FRAME_PIXELS",
    "MOST_PIXELS",
    "PICTURE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Frame",
    "H264Clip",
    "MediaError",
    "RgbImage",
    "ahead",
    "count_frames",
    "frame_times",
    "kind_of",
    "media_facts",
    "read_frames",
    "read_image",
    "scaled",
    "through_h264",
    "transcode",
    "write_video",
]
