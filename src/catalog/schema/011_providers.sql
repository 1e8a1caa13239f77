-- Accounts of people whom an identity provider (OpenID Connect) vouches for: who vouches, and by what name it never changes.
-- They have no password.
ALTER TABLE users ADD COLUMN issuer TEXT;
ALTER TABLE users ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX users_subject ON users (issuer, subject) WHERE subject IS NOT NULL;
