-- The champion's last :window predictions of one model version, by predicted label (Athena engine 3, Trino SQL).
-- Parameters, in order: lowest hour partition (yyyy/mm/dd/hh), model version.
WITH answers AS (
  SELECT eventmetadata.inferencetime AS inferred_at, answer
  FROM capture
  CROSS JOIN UNNEST(CAST(json_parse(capturedata.endpointoutput.data) AS ARRAY(JSON))) AS unnested (answer)
  WHERE variant = 'champion' AND hour >= ?
), recent AS (
  SELECT
    json_extract_scalar(answer, '$.label') AS label,
    CAST(json_extract_scalar(answer, '$.confidence') AS DOUBLE) AS confidence,
    CAST(json_extract_scalar(answer, '$.tokens') AS BIGINT) AS tokens,
    CAST(json_extract_scalar(answer, '$.oov_tokens') AS BIGINT) AS oov_tokens
  FROM answers
  WHERE json_extract_scalar(answer, '$.model_version') = ?
  ORDER BY inferred_at DESC
  LIMIT {window}
)
SELECT label, COUNT(*) AS predictions, SUM(confidence) AS confidence, SUM(tokens) AS tokens, SUM(oov_tokens) AS oov_tokens
FROM recent
GROUP BY label
ORDER BY label
