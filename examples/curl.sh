#!/usr/bin/env bash
# Submit a video, follow its stream, read it again from a byte, get its tracks and a frame: by curl.
#
#   examples/curl.sh URL [FRAMES]
#
# URL is a video that Framewire may read, FRAMES how many to look at. FRAMEWIRE_URL and FRAMEWIRE_KEY
# say where Framewire is. Writes stream.txt, results.json and frame.jpg into the current folder.
set -euo pipefail

video=${1:?a URL of a video}
frames=${2:-50}
tasks=$FRAMEWIRE_URL/v1/video/tasks

ask() { curl -sS -H "Authorization: Bearer $FRAMEWIRE_KEY" "$@"; }

echo "== Submit"
accepted=$(ask --fail-with-body "$FRAMEWIRE_URL/v1/video/process" -H "Content-Type: application/json" -d '{
  "input": [{"type": "video_url", "url": "'"$video"'",
             "sampling": {"mode": "fps", "value": 5}, "max_frames": '"$frames"'}],
  "steps": [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}]
}')
task=$(sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' <<<"$accepted")
echo "$task"

echo "== Follow"
# However often the connection is cut: what is missing begins where the file ends. A 204 says that
# nothing is missing, most 4xx that asking again does not help.
: >stream.txt
: >head.txt
until grep -qE '^HTTP/[0-9.]+ (204|40|41)' head.txt; do
  ask -fN "$tasks/$task/stream" -D head.txt -H "Last-Event-ID: $(wc -c <stream.txt)" >>stream.txt ||
    sleep 1
done
rm head.txt
grep -c '^data: {' stream.txt | sed 's/$/ chunks/'

echo "== Resume from a byte"
middle=$(($(wc -c <stream.txt) / 2))
ask -fN "$tasks/$task/stream" -H "Last-Event-ID: $middle" | cmp - <(tail -c "+$((middle + 1))" stream.txt)
echo "from byte $middle on they are the same bytes"

echo "== Results"
ask -f "$tasks/$task/results" -o results.json
grep -o '"track_id": *[0-9]*' results.json | wc -l | sed 's/$/ tracks in results.json/'

echo "== A frame, with what was found in it"
ask -f "$tasks/$task/frames/0.jpg?boxes=1" -o frame.jpg
ls frame.jpg
