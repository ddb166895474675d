#!/bin/sh
# Puts the page where the web server runs it, then becomes the web server.
set -eu
mkdir -p /tmp/www/cgi-bin
cp /srv/page.sh /tmp/www/cgi-bin/index.cgi
chmod 0755 /tmp/www/cgi-bin/index.cgi
echo ok > /tmp/www/health.txt
exec httpd -f -p 8080 -h /tmp/www
