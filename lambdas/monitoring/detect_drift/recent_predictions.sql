-- The champion's last :window predictions of one model version, by predicted label (Athena engine 3, Trino SQL).
-- The row without a label counts the answers that were left out: lines that could not be read, answers without what drift needs.
-- A prediction that was captured twice (a retried write, a change of hosting.capture) counts once.
-- A call that only compares two models (contracts/shared_words.py, PAIR_CALL) answered nobody and does not count.
-- Parameters, in order: lowest hour partition (yyyy/mm/dd/hh), model version.
WITH lines AS (
  SELECT
    eventmetadata.inferencetime AS inferred_at,
    capturedata.endpointoutput.data AS data,
    COALESCE(eventmetadata.inferenceid, eventmetadata.eventid) AS id,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(eventmetadata.inferenceid, eventmetadata.eventid) ORDER BY eventmetadata.inferencetime DESC) AS nth
  FROM capture
  WHERE variant = 'champion' AND hour >= ? AND COALESCE(eventmetadata.inferenceid, '') NOT LIKE 'pair-%'
), parsed AS (
  SELECT id, inferred_at, TRY(CAST(json_parse(data) AS ARRAY(JSON))) AS answers
  FROM lines
  WHERE nth = 1 OR id IS NULL
), answers AS (
  SELECT
    id,
    inferred_at,
    json_extract_scalar(answer, '$.model_version') AS model_version,
    json_extract_scalar(answer, '$.label') AS label,
    TRY_CAST(json_extract_scalar(answer, '$.confidence') AS DOUBLE) AS confidence,
    TRY_CAST(json_extract_scalar(answer, '$.tokens') AS BIGINT) AS tokens,
    TRY_CAST(json_extract_scalar(answer, '$.oov_tokens') AS BIGINT) AS oov_tokens
  FROM parsed
  LEFT JOIN UNNEST(answers) AS unnested (answer) ON TRUE
), judged AS (
  SELECT
    *,
    COALESCE(
      id <> '' AND inferred_at <> '' AND model_version <> '' AND label <> ''
      AND confidence BETWEEN 0 AND 1 AND tokens >= 0 AND oov_tokens BETWEEN 0 AND tokens,
      FALSE
    ) AS usable
  FROM answers
), ranked AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY usable ORDER BY inferred_at DESC) AS place
  FROM judged
  WHERE model_version = ? OR model_version IS NULL
)
SELECT
  CASE WHEN usable THEN label END AS label,
  COUNT(*) AS predictions,
  SUM(confidence) AS confidence,
  SUM(tokens) AS tokens,
  SUM(oov_tokens) AS oov_tokens
FROM ranked
WHERE NOT usable OR place <= {window}
GROUP BY CASE WHEN usable THEN label END
ORDER BY label
