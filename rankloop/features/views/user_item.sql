-- How often a freelancer met this very job before; daily snapshots on days it happened.
-- key: user_id, item_id
-- feature: user_item_impressions | times shown to the freelancer | count | default 0
-- feature: user_item_clicks | clicks of the freelancer | count | default 0
-- feature: user_item_applies | applications of the freelancer | count | default 0
-- feature: user_item_dismisses | times the freelancer dismissed it | count | default 0
-- feature: user_item_days_since_seen | since it was last shown | days
WITH daily AS (
    SELECT user_id, item_id, day, count(*) AS shown, 0 AS clicks, 0 AS applies, 0 AS dismisses, max(ts) AS seen_at
    FROM impressions GROUP BY ALL
    UNION ALL
    SELECT user_id, item_id, day, 0, count(*) FILTER (kind = 'click'), count(*) FILTER (kind = 'apply'),
        count(*) FILTER (kind = 'dismiss'), NULL
    FROM outcomes GROUP BY ALL
),
by_day AS (
    SELECT user_id, item_id, day, sum(shown) AS shown, sum(clicks) AS clicks, sum(applies) AS applies,
        sum(dismisses) AS dismisses, max(seen_at) AS seen_at
    FROM daily GROUP BY ALL
)
SELECT
    user_id,
    item_id,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(shown) OVER life AS user_item_impressions,
    sum(clicks) OVER life AS user_item_clicks,
    sum(applies) OVER life AS user_item_applies,
    sum(dismisses) OVER life AS user_item_dismisses,
    max(seen_at) OVER life AS user_item_days_since_seen
FROM by_day
WINDOW life AS (PARTITION BY user_id, item_id ORDER BY day)
