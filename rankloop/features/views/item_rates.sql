-- How well a job does for where it was shown, over its whole life; daily snapshots on days something happened.
-- key: item_id
-- feature: item_coec | clicks over the clicks its positions promised, both plus 2 | ratio
-- feature: item_apply_rate | applications a click, 1 in 10 added | ratio
-- feature: item_dismiss_rate | dismissals an impression, 1 in 50 added | ratio
-- feature: item_hires | people hired | count | default 0
-- feature: item_days_since_click | since the last day's last click | days
WITH daily AS (
    SELECT item_id, day, count(*) AS shown, sum(expected_click) AS expected,
        0 AS placed, 0 AS clicks, 0 AS applies, 0 AS dismisses, 0 AS hires, NULL::TIMESTAMPTZ AS clicked_at
    FROM impressions GROUP BY ALL
    UNION ALL
    SELECT item_id, day, 0, 0,
        count(*) FILTER (kind = 'click' AND position IS NOT NULL), count(*) FILTER (kind = 'click'),
        count(*) FILTER (kind = 'apply'), count(*) FILTER (kind = 'dismiss'), count(*) FILTER (kind = 'hire'),
        max(ts) FILTER (kind = 'click')
    FROM outcomes GROUP BY ALL
),
by_day AS (
    SELECT item_id, day, sum(shown) AS shown, sum(expected) AS expected, sum(placed) AS placed, sum(clicks) AS clicks,
        sum(applies) AS applies, sum(dismisses) AS dismisses, sum(hires) AS hires, max(clicked_at) AS clicked_at
    FROM daily GROUP BY ALL
)
SELECT
    item_id,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    (sum(placed) OVER life + 2) / (sum(expected) OVER life + 2) AS item_coec,
    (sum(applies) OVER life + 1) / (sum(clicks) OVER life + 10) AS item_apply_rate,
    (sum(dismisses) OVER life + 1) / (sum(shown) OVER life + 50) AS item_dismiss_rate,
    sum(hires) OVER life AS item_hires,
    max(clicked_at) OVER life AS item_days_since_click
FROM by_day
WINDOW life AS (PARTITION BY item_id ORDER BY day)
