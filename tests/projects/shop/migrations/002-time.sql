ALTER TABLE orders ADD COLUMN IF NOT EXISTS ordered_at timestamptz NOT NULL DEFAULT now();
