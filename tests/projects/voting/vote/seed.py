"""Makes up some votes."""

import urllib.request

for number in range(10):
    urllib.request.urlopen("http://vote/", f"seed{number} {'cats' if number % 3 else 'dogs'}".encode())
