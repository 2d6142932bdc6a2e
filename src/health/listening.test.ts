/** When a process may judge: after a whole time-out in which nothing was in its way. */
import { describe, expect, test } from 'vitest'
import { Listening } from './listening.ts'

/** A process that has listened since 0 and runs every 250 ms; the time-out is 60 s. */
function running(until_ms: number): Listening {
  const listening = new Listening(60, 0)
  run(listening, 0, until_ms)
  return listening
}

function run(listening: Listening, from_ms: number, until_ms: number): void {
  for (let now_ms = from_ms; now_ms <= until_ms; now_ms += 250) listening.tick(now_ms)
}

describe('silence is judged', () => {
  test('after one whole time-out', () => {
    expect(running(59_750).mayJudge(59_999)).toBe(false)
    expect(running(60_000).mayJudge(60_000)).toBe(true)
  })

  test('not while something is in the way, and a time-out after the last of it', () => {
    const listening = running(100_000)
    listening.hindered('no socket', 100_000)
    listening.hindered('no database', 101_000)
    listening.cleared('no socket', 102_000)
    run(listening, 100_000, 200_000)
    expect(listening.mayJudge(200_000)).toBe(false)
    listening.cleared('no database', 200_000)
    run(listening, 200_000, 259_750)
    expect(listening.mayJudge(259_750)).toBe(false)
    expect(listening.reason).toBe('until just now no database')
    expect(listening.mayJudge(260_000)).toBe(true)
    listening.cleared('no database', 260_000) // it was not in the way
    expect(listening.mayJudge(260_001)).toBe(true)
  })

  test('a time-out after the process was stopped for a while, and not before it notices', () => {
    const listening = running(100_000)
    expect(listening.mayJudge(100_000 + 5_001)).toBe(false)
    run(listening, 105_250, 165_000)
    expect(listening.mayJudge(165_000)).toBe(false)
    expect(listening.mayJudge(165_250)).toBe(true)
  })

  test('a short time-out makes shorter pauses count', () => {
    const listening = new Listening(6, 0)
    run(listening, 0, 6_000)
    expect(listening.mayJudge(6_000)).toBe(true)
    expect(listening.mayJudge(7_501)).toBe(false)
  })

  test.each([3_600_000, -3_600_000, 6_000])("a time-out after the database's clock jumped by %i ms", jump_ms => {
    const listening = running(100_000)
    listening.clock(1e12, 100_000)
    listening.clock(1e12 + 1_050, 101_000)
    expect(listening.mayJudge(101_000)).toBe(true)
    listening.clock(1e12 + 2_000 + jump_ms, 102_000)
    expect(listening.mayJudge(102_000)).toBe(false)
    run(listening, 102_000, 162_000)
    listening.clock(1e12 + 62_000 + jump_ms, 162_000)
    expect(listening.mayJudge(162_000)).toBe(true)
  })
})
