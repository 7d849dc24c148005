-- How far each vector of a layer is from the question's, in the order of seq. The operator gives the negative inner product; the
-- question's vector is converted once, not for every row.
SELECT string_agg(float4send((v <#> (SELECT %(vector)s::{halfvec}))::real), ''::bytea ORDER BY seq) AS dissimilarity,
       coalesce(min(seq), 0) AS first
FROM {vectors}
WHERE anima_id = %(anima)s AND layer = %(layer)s AND generation = %(generation)s AND model = %(model)s
