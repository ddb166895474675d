#!/bin/sh
# Puts the page where the web server runs it, then becomes the web server.
set -eu
mkdir -p /www/cgi-bin
cp /srv/page.sh /www/cgi-bin/index.cgi
chmod 0755 /www/cgi-bin/index.cgi
echo ok > /www/health.txt
exec httpd -f -p 8080 -h /www
