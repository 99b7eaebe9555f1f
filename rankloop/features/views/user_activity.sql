-- How active a freelancer was lately; daily snapshots over windows of 7 and 28 days.
-- key: user_id
-- feature: user_clicks_7d | clicks in 7 days | count | default 0
-- feature: user_clicks_28d | clicks in 28 days | count | default 0
-- feature: user_applies_28d | applications in 28 days | count | default 0
-- feature: user_click_rate_28d | clicks an impression in 28 days, 1 in 20 added | ratio
-- feature: user_days_since_action | since the last day's last action of any kind | days
WITH daily AS (
    SELECT user_id, day, count(*) AS shown, 0 AS clicks, 0 AS applies, NULL::TIMESTAMPTZ AS acted_at, false AS snapshot
    FROM impressions GROUP BY ALL
    UNION ALL
    SELECT user_id, day, 0, count(*) FILTER (kind = 'click'), count(*) FILTER (kind = 'apply'), max(ts), false
    FROM outcomes GROUP BY ALL
),
-- a count changes on the midnight after a day, and when that day leaves a window
snapshots AS (
    SELECT DISTINCT user_id, day + lag AS day, 0, 0, 0, NULL::TIMESTAMPTZ, true
    FROM daily CROSS JOIN (VALUES (1), (8), (29)) AS lags(lag)
),
windowed AS (
    SELECT
        user_id, day, snapshot,
        coalesce(sum(clicks) OVER week, 0) AS clicks_7d,
        coalesce(sum(clicks) OVER month, 0) AS clicks_28d,
        coalesce(sum(applies) OVER month, 0) AS applies_28d,
        coalesce(sum(shown) OVER month, 0) AS shown_28d,
        max(acted_at) OVER past AS acted_at
    FROM (SELECT * FROM daily UNION ALL SELECT * FROM snapshots)
    WINDOW
        week AS (PARTITION BY user_id ORDER BY day RANGE BETWEEN INTERVAL 7 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING),
        month AS (PARTITION BY user_id ORDER BY day RANGE BETWEEN INTERVAL 28 DAYS PRECEDING AND INTERVAL 1 DAY PRECEDING),
        past AS (PARTITION BY user_id ORDER BY day RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 DAY PRECEDING)
)
SELECT
    user_id,
    day::TIMESTAMPTZ AS valid_from,
    clicks_7d AS user_clicks_7d,
    clicks_28d AS user_clicks_28d,
    applies_28d AS user_applies_28d,
    (clicks_28d + 1) / (shown_28d + 20) AS user_click_rate_28d,
    acted_at AS user_days_since_action
FROM windowed
WHERE snapshot
