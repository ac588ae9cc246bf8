"""Tracker parameters: `TrackParameters`, every field with its unit and its default.

Lengths are in *object sizes*, one size = sqrt(width x height) of the box, so that one setting is
right for near and far objects. Times are in seconds, so that one setting is right for 1 and 30
frames per second. `docs/tracking.md` shows how the defaults were measured.
"""

from typing import Self

import msgspec


class TrackParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one task's tracker; part of the task, so a resumed task uses the same."""

    high_threshold: float = 0.5
    """Detections with at least this score may start tracks and are associated first."""

    low_threshold: float = 0.25
    """Detections from this score up to `high_threshold` only continue visible tracks."""

    birth_threshold: float = 0.6
    """Least score with which an unmatched detection starts a tentative track."""

    instant_threshold: float = 0.75
    """Least score with which a new track is confirmed by its first detection. On a task's first
    frame every new track is confirmed: no other track exists yet, and it may be the only frame."""

    confirm_hits: int = 2
    """Consecutive detections that confirm a tentative track of any score, if they ..."""

    confirm_s: float = 0.15
    """... also span this time: at a high frame rate a false detection lasts several frames."""

    max_unseen_s: float = 2.0
    """An object that is unseen for longer than this loses its id ..."""

    min_unseen_frames: int = 2
    """... but not before it was missed in more than this many processed frames ..."""

    max_gap_s: float = 60.0
    """... unless it was unseen for this long, for any number of sampled frames."""

    drop_outside: bool = True
    """Drop an unseen track when its predicted centre has left the image."""

    match_floor: float = 0.2
    """Least overlap in the first pass: IoU of boxes widened by the position's uncertainty,
    scaled by `score_weight`."""

    low_match_floor: float = 0.5
    """Least overlap for low detections, which are often parts of occluded objects."""

    tentative_match_floor: float = 0.3
    """Least overlap for the second detection of a tentative track."""

    low_unseen_frames: int = 1
    """Low detections continue only tracks seen at most this many processed frames ago."""

    score_weight: float = 0.5
    """How much a detection's score scales its overlap: 0 not at all, 1 as a factor."""

    widening: float = 1.5
    """Number of standard deviations of the predicted position by which boxes are widened."""

    max_widening: float = 2.0
    """Maximum by which a box is widened on each side, in object sizes."""

    class_penalty: float = 0.1
    """Cost added if the classes of detection and track differ, within one group."""

    class_groups: tuple[tuple[int, ...], ...] = ()
    """Class ids that detectors confuse; a track may change within a group (car, truck, bus)."""

    class_switch_ratio: float = 1.5
    """A track changes to a class with more than this many times the votes of the current one."""

    class_vote_decay: float = 0.98
    """Factor on old class votes at each new detection: bounds them and favours recent votes."""

    duplicate_iou: float = 0.7
    """A detection whose IoU with a tracked one of its group is above this starts no track."""

    velocity_std: float = 1.5
    """Standard deviation of a new object's velocity, object sizes per second."""

    acceleration_std: float = 1.0
    """Spectral density (root) of the acceleration noise, object sizes per second^1.5."""

    size_velocity_std: float = 0.2
    """As `velocity_std`, for the box's width and height."""

    size_acceleration_std: float = 0.3
    """As `acceleration_std`, for the box's width and height."""

    measurement_std: float = 0.1
    """Standard deviation of a detected centre, object sizes."""

    size_measurement_std: float = 0.1
    """Standard deviation of a detected width or height, object sizes."""

    size_velocity_decay_s: float = 0.5
    """Time in which the predicted growth of a box fades to half."""

    velocity_decay_s: float = 4.0
    """Time in which the predicted velocity fades to half."""

    appearance_weight: float = 0.3
    """Share of the appearance distance in the cost where both sides have a feature; 0 is off."""

    appearance_limit: float = 0.7
    """Least cosine distance at which two appearances count as different objects."""

    appearance_memory: float = 0.9
    """Weight of the old feature in the moving average of a track's feature."""

    @classmethod
    def for_detector(
        cls,
        threshold: float,
        low_threshold: float,
        class_groups: tuple[tuple[int, ...], ...] = (),
    ) -> Self:
        """Return the parameters for a detector's thresholds, at the measured distances from them.

        `threshold` is the least score with which a detection counts as an object. A new track needs
        0.1 more, and 0.25 more to be confirmed by its first detection.
        """
        return cls(
            high_threshold=threshold,
            low_threshold=min(low_threshold, threshold),
            birth_threshold=min(threshold + 0.1, 1.0),
            instant_threshold=min(threshold + 0.25, 1.0),
            class_groups=class_groups,
        )
