import numpy as np
import pytest

from streamproc.stages.tracking.kalman import (
    CROSS_COV,
    POSITION,
    POSITION_VAR,
    VELOCITY,
    VELOCITY_VAR,
    Motion,
    centre_form,
    corner_form,
)
from streamproc.stages.tracking.parameters import TrackParameters

MOTION = Motion(TrackParameters())


def full_covariance(kinematics: np.ndarray) -> np.ndarray:
    """The 8 x 8 covariance that the blocks of one track stand for."""
    top = np.hstack([np.diag(kinematics[POSITION_VAR]), np.diag(kinematics[CROSS_COV])])
    return np.vstack([top, np.hstack([top[:, 4:], np.diag(kinematics[VELOCITY_VAR])])])


def test_the_blocks_equal_the_full_kalman_correction() -> None:
    born = MOTION.born(np.array([[100.0, 200, 40, 100]]))
    before = MOTION.predicted(born, 0.3)
    measured = np.array([[110.0, 195, 42, 96]])
    after = MOTION.corrected(before, measured)

    observe = np.hstack([np.eye(4), np.zeros((4, 4))])
    size = np.sqrt(42.0 * 96.0)
    noise = np.diag((np.array([0.1, 0.1, 0.1, 0.1]) * size) ** 2)
    covariance = full_covariance(before[0])
    gain = covariance @ observe.T @ np.linalg.inv(observe @ covariance @ observe.T + noise)
    mean = before[0, :2].reshape(8) + gain @ (measured[0] - before[0, POSITION])
    assert after[0, :2].reshape(8) == pytest.approx(mean)
    assert full_covariance(after[0]) == pytest.approx((np.eye(8) - gain @ observe) @ covariance)


def test_velocity_is_learned_in_pixels_per_second_whatever_the_spacing() -> None:
    kinematics = MOTION.born(np.array([[100.0, 200, 40, 100]]))
    time_s = 0.0
    for dt_s in [0.1, 0.3, 0.05, 0.5, 0.2] * 4:
        time_s += dt_s
        kinematics = MOTION.predicted(kinematics, dt_s)
        kinematics = MOTION.corrected(kinematics, np.array([[100.0 + 50 * time_s, 200, 40, 100]]))
    assert kinematics[0, VELOCITY, 0] == pytest.approx(50, rel=0.1)
    assert abs(kinematics[0, VELOCITY, 1]) < 1e-9


def test_uncertainty_grows_with_time_and_shrinks_with_a_measurement() -> None:
    born = MOTION.born(np.array([[100.0, 200, 40, 100]]))
    soon, late = MOTION.predicted(born, 0.1), MOTION.predicted(born, 1.0)
    seen = MOTION.corrected(late, np.array([[100.0, 200, 40, 100]]))
    assert (born[:, POSITION_VAR] < soon[:, POSITION_VAR]).all()
    assert (soon[:, POSITION_VAR] < late[:, POSITION_VAR]).all()
    assert (seen[:, POSITION_VAR] < late[:, POSITION_VAR]).all()


def test_no_time_changes_nothing() -> None:
    born = MOTION.born(np.array([[100.0, 200, 40, 100]]))
    assert (MOTION.predicted(born, 0.0) == born).all()


def test_a_long_gap_cannot_carry_an_object_far_away() -> None:
    fast = MOTION.born(np.array([[100.0, 200, 40, 100]]))
    fast[0, VELOCITY, 0] = 50.0
    much_later = MOTION.predicted(fast, 1e6)
    assert np.isfinite(much_later).all()
    assert much_later[0, VELOCITY, 0] < 1e-3


def test_the_two_box_forms_are_each_others_inverse() -> None:
    corners = np.array([[10.0, 20, 50, 120]])
    assert centre_form(corners).tolist() == [[30, 70, 40, 100]]
    assert (corner_form(centre_form(corners)) == corners).all()
