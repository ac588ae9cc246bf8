"""Multi-object tracker: Kalman filter, association, class voting, and its stored state."""
