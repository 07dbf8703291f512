import pytest
import torch

from vtt_core.fusion.layer_orders import grid_orders, scan_orders, sum_in_order


class TestGridOrders:
    @pytest.mark.parametrize(("num_steps", "rows", "columns"), [(25, 5, 5), (49, 7, 7), (13, 1, 13), (15, 3, 5)])
    def test_the_grid_is_read_by_rows_and_by_columns_both_ways(self, num_steps: int, rows: int, columns: int) -> None:
        by_rows = [row * columns + column for row in range(rows) for column in range(columns)]
        by_columns = [row * columns + column for column in range(columns) for row in range(rows)]
        orders = [order.tolist() for order in grid_orders(num_steps)]
        assert orders == [by_rows, by_rows[::-1], by_columns, by_columns[::-1]]

    def test_both_readings_of_a_prime_number_agree(self) -> None:
        by_rows, _, by_columns, _ = grid_orders(13)
        assert torch.equal(by_rows, by_columns)


class TestScanOrders:
    def test_each_way_starts_where_its_name_says(self) -> None:
        assert [order.tolist() for order in scan_orders(4, "deep-to-shallow")] == [[0, 1, 2, 3]]
        assert [order.tolist() for order in scan_orders(4, "shallow-to-deep")] == [[3, 2, 1, 0]]
        assert [order.tolist() for order in scan_orders(4, "both-ways")] == [[0, 1, 2, 3], [3, 2, 1, 0]]

    def test_four_ways_are_those_of_the_grid(self) -> None:
        for got, expected in zip(scan_orders(25, "four-ways"), grid_orders(25), strict=True):
            assert torch.equal(got, expected)


def test_outputs_are_put_back_into_the_sequences_order_before_they_are_added() -> None:
    tokens_BSD, orders = torch.randn(2, 6, 3), grid_orders(6)
    outputs = [tokens_BSD[:, order] for order in orders]
    torch.testing.assert_close(sum_in_order(outputs, orders), 4 * tokens_BSD)
