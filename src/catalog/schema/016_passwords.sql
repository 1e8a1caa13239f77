-- A password that somebody else made is good for choosing another one, and that not for ever: until `one_time_until`, in
-- unix milliseconds. Those that there are have seven days from now on.
ALTER TABLE users ADD COLUMN one_time_until INTEGER;
UPDATE users SET one_time_until = unixepoch() * 1000 + 604800000 WHERE must_change;
ALTER TABLE users DROP COLUMN must_change;
