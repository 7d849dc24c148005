-- What ranking reads, and what a pack starts from, of one moment: in two statements a layer could be ahead of its anima.
SELECT layer.*, view.* FROM ({retrieve}) AS layer LEFT JOIN ({anima_view}) AS view ON layer.place = 1 ORDER BY layer.place
