CREATE TABLE votes (voter text PRIMARY KEY, choice text NOT NULL);
