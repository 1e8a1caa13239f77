-- Files whose object is filed and had been moved by a person (state 14): kept among the duplicates of items and jobs, counted
-- when somebody asks, and rare.
CREATE INDEX import_files_moved ON import_files (job) WHERE state = 14 AND item IS NOT NULL;
