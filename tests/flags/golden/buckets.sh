#!/bin/sh
# Makes buckets.csv with sha256sum, which knows nothing of our code:
#   sh tests/flags/golden/buckets.sh > tests/flags/golden/buckets.csv
# One line for each vector: flag,salt,targeting key,first 8 bytes,second 8 bytes (big-endian, hexadecimal).
number=0
while [ "$number" -lt 1000 ]; do
  case $((number % 5)) in
    0) flag=prompts.select_state key="web:visitor-$number" ;;
    1) flag=prompts.select_state key="whatsapp:+55119$number" ;;
    2) flag=models.state key="web:conversa-ação-$number" ;;
    3) flag=cache.semantic key="a:b:$number:" ;;
    4) flag=x key="客户 👋 $number" ;;
  esac
  salt=$((number % 3 + 1))
  digest=$(printf '%s' "$flag:$salt:$key" | sha256sum)
  first=$(printf '%s' "$digest" | cut -c1-16)
  second=$(printf '%s' "$digest" | cut -c17-32)
  printf '%s,%s,%s,%s,%s\n' "$flag" "$salt" "$key" "$first" "$second"
  number=$((number + 1))
done
