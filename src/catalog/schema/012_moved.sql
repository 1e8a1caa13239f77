-- What came for an item and had been moved by a person: counted when somebody asks, and rare.
CREATE INDEX receipts_moved ON receipts (item) WHERE outcome = 4;

-- Who got objects as an operation shows them.
CREATE INDEX departures_corrected ON departures (correction, peer) WHERE correction <> 0;
