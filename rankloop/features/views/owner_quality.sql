-- What a client's earlier jobs came to; daily snapshots on days something happened.
-- key: owner_id
-- feature: owner_jobs | jobs posted before today | count | default 0
-- feature: owner_hires | people hired | count | default 0
-- feature: owner_hire_rate | hires a job, 1 in 4 added | ratio
-- feature: owner_response_rate | interviews an application, 1 in 10 added | ratio
WITH daily AS (
    SELECT owner_id, created_at::DATE AS day, count(*) AS jobs, 0 AS hires, 0 AS applies, 0 AS interviews
    FROM items GROUP BY ALL
    UNION ALL
    SELECT owner_id, day, 0, count(*) FILTER (kind = 'hire'), count(*) FILTER (kind = 'apply'),
        count(*) FILTER (kind = 'interview')
    FROM outcomes GROUP BY ALL
),
by_day AS (
    SELECT owner_id, day, sum(jobs) AS jobs, sum(hires) AS hires, sum(applies) AS applies, sum(interviews) AS interviews
    FROM daily GROUP BY ALL
)
SELECT
    owner_id,
    (day + 1)::TIMESTAMPTZ AS valid_from,
    sum(jobs) OVER life AS owner_jobs,
    sum(hires) OVER life AS owner_hires,
    (sum(hires) OVER life + 1) / (sum(jobs) OVER life + 4) AS owner_hire_rate,
    (sum(interviews) OVER life + 1) / (sum(applies) OVER life + 10) AS owner_response_rate
FROM by_day
WINDOW life AS (PARTITION BY owner_id ORDER BY day)
