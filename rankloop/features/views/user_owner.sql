-- What passed between a freelancer and a client before; daily snapshots on days something did.
-- key: user_id, owner_id
-- feature: user_owner_clicks | clicks on the client's jobs | count | default 0
-- feature: user_owner_applies | applications to the client's jobs | count | default 0
-- feature: user_owner_hires | times hired by the client | count | default 0
WITH by_day AS (
    SELECT user_id, owner_id, day, count(*) FILTER (kind = 'click') AS clicks,
        count(*) FILTER (kind = 'apply') AS applies, count(*) FILTER (kind = 'hire') AS hires
    FROM outcomes
    WHERE owner_id IS NOT NULL
    GROUP BY ALL
)
SELECT
    user_id,
    owner_id,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(clicks) OVER life AS user_owner_clicks,
    sum(applies) OVER life AS user_owner_applies,
    sum(hires) OVER life AS user_owner_hires
FROM by_day
WINDOW life AS (PARTITION BY user_id, owner_id ORDER BY day)
