-- Reports whether a lane is served.
-- Keys: times of the lane. Arguments: time without a claim after which it is not served (ms). Replies 1 or 0.
return is_served(KEYS[1], tonumber(ARGV[1]), now_ms()) and 1 or 0
