# citewise for a group: the page, /v1 and /mcp on port 7860, behind a login. See README.md.
FROM python:3.11-slim

# The pinned versions first: they change seldom, and their layer is kept. Byte-compiled, because the
# reader may not write here and would compile everything anew at each start (6 s of processor).
COPY requirements.txt /src/
RUN pip install --no-cache-dir -r /src/requirements.txt "mcp>=2,<3"
COPY . /src
RUN pip install --no-cache-dir --no-deps /src

# No process of ours needs to be root; papers and users lie in the volume.
RUN useradd --create-home --uid 1000 reader && install -d -o reader -g reader /data
USER reader
VOLUME /data
ENV CITEWISE_LIBRARY=/data/library CITEWISE_AUTH=/data/users.json PYTHONUNBUFFERED=1

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
  ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["citewise"]
CMD ["chat", "--host", "0.0.0.0", "--mcp", "--sample"]
