"""Kalman filter with a constant-velocity model, vectorised over many boxes.

The state of one box is centre x, centre y, width and height (px) and their velocities (px/s).
With the transition and noise used here the four coordinates are independent, so the usual 8 x 8
covariance is exactly four 2 x 2 blocks. They are kept as `kinematics (n, 5, 4) float64`: rows
position, velocity, position variance, position-velocity covariance, velocity variance; columns
cx, cy, w, h. Only + - * / and sqrt are used: IEEE 754 rounds these the same on every machine.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.parameters import TrackParameters

Floats = npt.NDArray[np.float64]

POSITION, VELOCITY, POSITION_VAR, CROSS_COV, VELOCITY_VAR = range(5)


class Motion:
    """Predict and update of the filter; holds constants from the parameters, but no state."""

    def __init__(self, parameters: TrackParameters) -> None:
        p = parameters
        self._velocity_std = _per_coordinate(p.velocity_std, p.size_velocity_std)
        self._acceleration_std = _per_coordinate(p.acceleration_std, p.size_acceleration_std)
        self._measurement_std = _per_coordinate(p.measurement_std, p.size_measurement_std)
        self._decay_s = _per_coordinate(p.velocity_decay_s, p.size_velocity_decay_s)

    def born(self, boxes: Floats) -> Floats:
        """Return kinematics of new `boxes (n, 4)`, centre form: velocity 0, wide variance."""
        size = object_sizes(boxes)
        kinematics = np.zeros((len(boxes), 5, 4))
        kinematics[:, POSITION] = boxes
        kinematics[:, POSITION_VAR] = (self._measurement_std * size) ** 2
        kinematics[:, VELOCITY_VAR] = (self._velocity_std * size) ** 2
        return kinematics

    def predicted(self, kinematics: Floats, dt_s: float) -> Floats:
        """Return the kinematics `dt_s` later (predict step).

        Velocities decay, so that the displacement over a long gap stays bounded. The decay factor
        is 1 / (1 + dt / decay): one half after the decay time, and free of exp(). The displacement
        is the trapezoid between the old and the decayed velocity.
        """
        if dt_s == 0.0:
            return kinematics.copy()
        fade = self._decay_s / (self._decay_s + dt_s)
        reach_s = dt_s * (1.0 + fade) / 2.0
        position, velocity, var_p, cov, var_v = (kinematics[:, row] for row in range(5))
        density = (self._acceleration_std * object_sizes(position)) ** 2
        out = np.empty_like(kinematics)
        out[:, POSITION] = position + reach_s * velocity
        out[:, VELOCITY] = fade * velocity
        out[:, POSITION_VAR] = (
            var_p + 2.0 * reach_s * cov + reach_s**2 * var_v + density * (dt_s * dt_s * dt_s / 3.0)
        )
        out[:, CROSS_COV] = fade * (cov + reach_s * var_v) + density * (dt_s * dt_s / 2.0)
        out[:, VELOCITY_VAR] = fade**2 * var_v + density * dt_s
        np.maximum(out[:, POSITION, 2:], 1.0, out=out[:, POSITION, 2:])
        return out

    def corrected(self, kinematics: Floats, boxes: Floats) -> Floats:
        """Return predicted `kinematics` updated by measured `boxes (n, 4)`, centre form, by row."""
        position, velocity, var_p, cov, var_v = (kinematics[:, row] for row in range(5))
        noise = (self._measurement_std * object_sizes(boxes)) ** 2
        innovation_var = var_p + noise
        gain_p, gain_v = var_p / innovation_var, cov / innovation_var
        surprise = boxes - position
        out = np.empty_like(kinematics)
        out[:, POSITION] = position + gain_p * surprise
        out[:, VELOCITY] = velocity + gain_v * surprise
        out[:, POSITION_VAR] = noise * gain_p
        out[:, CROSS_COV] = noise * gain_v
        out[:, VELOCITY_VAR] = var_v - gain_v * cov
        np.maximum(out[:, POSITION, 2:], 1.0, out=out[:, POSITION, 2:])
        return out


def centre_form(boxes_px: npt.NDArray[Any]) -> Floats:
    """Return left, top, right, bottom `(n, 4)` as centre x, centre y, width, height."""
    ltrb = boxes_px.astype(np.float64)
    return np.concatenate([(ltrb[:, :2] + ltrb[:, 2:]) / 2.0, ltrb[:, 2:] - ltrb[:, :2]], axis=1)


def corner_form(boxes: Floats) -> Floats:
    """Return centre form `(n, 4)` as left, top, right, bottom."""
    half = boxes[:, 2:] / 2.0
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def object_sizes(boxes: Floats) -> Floats:
    """Return the size, sqrt(width x height), of centre-form boxes as a column `(n, 1)`, px."""
    return np.sqrt(boxes[:, 2:3] * boxes[:, 3:4])


def _per_coordinate(centre: float, extent: float) -> Floats:
    return np.array([centre, centre, extent, extent])
