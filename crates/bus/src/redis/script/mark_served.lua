-- Records that a worker serves a lane.
-- Keys: times of the lane.
mark_served(KEYS[1], now_ms())
return {}
